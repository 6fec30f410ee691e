"""Ids and names as annotations in COCO's form have them: which can be used, and said in one line."""

import re
from typing import Final, TypeGuard

_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udc7f\udd00-\udfff]")
"""What ends a line, steers a terminal, or is half a character; not bytes of file names that are no text (PEP 383)."""
_LONGEST: Final = 255
"""Bytes of a file's or folder's name, on any usual file system."""


def is_line(text: object) -> TypeGuard[str]:
    """Whether it is text, of one line."""
    return isinstance(text, str) and bool(text.strip()) and _UNFIT.search(text) is None


def is_file_name(name: str) -> bool:
    """Whether a file can be called so, folders before it included."""
    parts = re.split(r"[/\\]", name)
    return is_line(name) and all(len(part.encode("utf-8", "surrogateescape")) <= _LONGEST for part in parts)


def is_id(key: object) -> bool:
    """Whether it can tell entries apart: a whole number, also as 1.0, or text of one line; no truth value."""
    return type(key) is int or (isinstance(key, float) and key.is_integer()) or key == "" or is_line(key)
