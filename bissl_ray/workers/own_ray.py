"""What a Ray of our own, on this machine alone, needs of it: a short folder, a token, open files, no proxy."""

import os
import resource
import secrets
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bissl_ray.data.sockets import BELOW_TEMPORARY, fits, private_folder, takes_files
from bissl_ray.errors import BadInputError

_BELOW: Final = len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.99")
"""Bytes of the longest path that Ray makes of its folder."""
_FILES: Final = 65536
_STORE_BYTES: Final = 128 * 2**20
"""Orders and reports go through Ray's object store, and nothing else: images and models don't."""
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")


def check_this_machine() -> None:
    """Refuse, before anything starts, a machine where no job can run.

    Raises:
        BadInputError: the folder for temporary files can't be written to.
    """
    for name in ("RAY_TMPDIR", "TMPDIR"):
        given = os.environ.get(name)
        if given and not takes_files(given):
            found = "can't be written to" if Path(given).is_dir() else "is no folder"
            raise BadInputError(
                f"{name} is {given!r}, which {found}; expected a folder for temporary files: create it, or unset {name}"
            )
    try:
        tempfile.gettempdir()
    except OSError:
        raise BadInputError(
            "no folder for temporary files can be written to, and one is needed: set TMPDIR to one"
        ) from None


@contextmanager
def ray_folder() -> Iterator[str]:
    """A folder for Ray's sockets and logs, for the duration of a `with` block.

    It is Ray's own choice where sockets fit into it, else a private one in a short place, removed in the end.

    Raises:
        BadInputError: there is no short place.
    """
    usual = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp") / "ray"
    if fits(usual, _BELOW) and takes_files(usual if usual.exists() else usual.parent):
        yield str(usual)
        return
    folder = private_folder(_BELOW)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def sockets_of_daemons(folder: str) -> Iterator[None]:
    """Start Ray inside this `with` block: its daemons' own sockets fit, however long the path of TMPDIR is.

    Args:
        folder: of `ray_folder`.
    """
    before = os.environ.get("TMPDIR")
    if before is None or fits(before, BELOW_TEMPORARY):
        yield
        return
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        os.environ["TMPDIR"] = before


def own_token(environ: MutableMapping[str, str]) -> None:
    """Give a cluster of our own a token that is in no file: Ray would write one into the home, if there is any."""
    if not environ.get("RAY_AUTH_TOKEN"):
        environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def off_the_proxies(environ: MutableMapping[str, str]) -> None:
    """Let nothing that stays on this machine go through a proxy; what goes out, goes as before."""
    if not any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES):
        return
    # Ray asks its own services at the machine's address, gRPC and Python read either spelling.
    known = [each.strip() for name in ("no_proxy", "NO_PROXY") for each in environ.get(name, "").split(",")]
    wanted = [*dict.fromkeys(each for each in (*known, *_LOOPBACK) if each)]
    for name in ("no_proxy", "NO_PROXY"):
        environ[name] = ",".join(wanted)


def room_for_files() -> None:
    """Let this process and its children open as many files as Ray needs, where the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def object_store(folder: str, shared: Path = Path("/dev/shm")) -> dict[str, int | str]:
    """How large Ray's object store is, as arguments of `ray.init`.

    Args:
        folder: where it is kept if shared memory is small, as in a container: that is left to the batches.
        shared: where shared memory is mounted.
    """
    size: dict[str, int | str] = {"object_store_memory": _STORE_BYTES}
    try:
        free = shutil.disk_usage(shared).free
    except OSError:
        free = 0
    return size if free >= 8 * _STORE_BYTES else {**size, "_plasma_directory": folder}
