"""Where results come from: versions, the state of the code, the command."""

import json
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("bissl-ray", "torch", "torchvision", "ray", "optuna", "pyarrow", "numpy")


@cache
def versions() -> str:
    """Versions of Python and of the packages that results depend on, as JSON."""
    return json.dumps({"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}})


@cache
def git_state() -> str | None:
    """The commit of the code that runs, with "-dirty" if it was changed since; None where there is no checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def provenance() -> dict[str, str | None]:
    """The three as a document holds them."""
    return {"git": git_state(), "versions": versions(), "command": shlex.join(["bissl-ray", *sys.argv[1:]])}


def now() -> str:
    """The time as a document holds it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat()
