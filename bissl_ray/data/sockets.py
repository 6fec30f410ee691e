"""Folders whose paths are short enough for the sockets in them: a socket's path has at most a hundred bytes or so."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from bissl_ray.errors import BadInputError

LONGEST: Final = 103
"""Bytes of a socket's path that every system takes: Linux 107, macOS 103."""
BELOW_TEMPORARY: Final = len("/pymp-12345678/listener-12345678")
"""Bytes of the longest path that multiprocessing makes of the folder for temporary files."""
_SHORT_PLACES: Final = ("/tmp", "/var/tmp")


def fits(folder: str | Path, below: int) -> bool:
    """Whether sockets fit into a folder.

    Args:
        folder: where they would be.
        below: bytes of the longest path in it, its first slash included.
    """
    return len(os.fsencode(folder)) + below <= LONGEST


def private_folder(below: int) -> str:
    """Make a folder that nobody else looks into, with a short path; whoever asks for it removes it.

    Args:
        below: as of `fits`.

    Raises:
        BadInputError: there is no such place.
    """
    places = (*_SHORT_PLACES, os.environ.get("XDG_RUNTIME_DIR") or "/dev/shm")
    for place in places:
        if fits(place, len("/bissl-12345678") + below) and takes_files(place):
            with suppress(OSError):
                return tempfile.mkdtemp(prefix="bissl-", dir=place)
    raise BadInputError(
        f"no folder for sockets can be written to (tried {', '.join(places)}), and their paths are at most {LONGEST} "
        f"bytes long: set TMPDIR to a folder whose path has at most {LONGEST - below} bytes"
    )


def takes_files(folder: str | Path) -> bool:
    """Whether files can be made in a folder."""
    return Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)
