"""The package of this process, sent along to a cluster: its machines need what it depends on, not itself (issue 19)."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final, get_args

from bissl_ray.config.space_files import Kind, resource_dir

_JOB: Final = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Where Ray tells the driver of a submitted job what environment the job was given."""


@contextmanager
def py_modules() -> Iterator[list[str]]:
    """What Ray is to bring to every machine of a cluster, for as long as this process connects.

    Ray keeps it under a digest of its content, so that it is uploaded once however often it is used; and puts it before
    whatever of this package a machine has of its own, so that all processes of a job run the code of its driver.

    Yields:
        For the runtime environment: this package as a wheel holds it, and what the submitted job that this is has.
    """
    with tempfile.TemporaryDirectory(prefix="bissl-ray-") as folder:
        yield [str(packed(Path(folder))), *_of_the_job()]


def packed(folder: Path) -> Path:
    """Copy the package into a folder as a wheel would install it, whether this one is a wheel's or a checkout's.

    Args:
        folder: that is there.

    Returns:
        The copy; its name is the package's.
    """
    package = Path(str(files("bissl_ray")))
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "_resources"))
    for kind in get_args(Kind):
        shutil.copytree(resource_dir(kind), copy / "_resources" / kind)
    return copy


def _of_the_job() -> list[str]:
    """What `ray job submit` was told to bring along: Ray takes the driver's in its place."""
    environment = json.loads(os.environ.get(_JOB, "{}")).get("runtime_env") or {}
    return list(environment.get("py_modules") or ())
