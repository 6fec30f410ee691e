"""Reads a text that a person wrote, a search space or what is said once: a few kilobytes, whatever else was named."""

import os
import stat
from pathlib import Path
from typing import Final

from bissl_ray.errors import BadInputError

_MOST_BYTES: Final = 200_000
_NO_TEXT: Final = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a disk"}


def read_text(path: Path, label: str, expected: str) -> str:
    """The text of a file.

    Args:
        path: of the file.
        label: what messages call it.
        expected: what it should be, in words: "a YAML file".

    Raises:
        BadInputError: it can't be read, is no file, not UTF-8, or far longer than a person writes.
    """
    try:
        # A pipe would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if (kind := _NO_TEXT.get(stat.S_IFMT(os.fstat(descriptor).st_mode))) is not None:
                raise BadInputError(f"{label}: found {kind}, expected {expected}")
            content = file.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{label}: can't be read: {error.strerror}; expected {expected}") from None
    except UnicodeDecodeError as error:
        raise BadInputError(f"{label}: not UTF-8 at byte {error.start}; save it as UTF-8 text") from None
    if len(content) > _MOST_BYTES:
        raise BadInputError(f"{label}: found more than {_MOST_BYTES:,} bytes, expected {expected} of a few thousand")
    return text
