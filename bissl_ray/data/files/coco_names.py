"""Ids and names as annotations in COCO's form have them: which can be used, and said in one line."""

import re
from typing import Final, TypeGuard
from unicodedata import category

_UNFIT: Final = frozenset({"Cc", "Zl", "Zp", "Cs"})
"""Categories of characters that end a line, steer a terminal, or are half a character."""
_BYTES: Final = range(0xDC80, 0xDD00)
"""Halves that stand for bytes of file names that are no text (PEP 383)."""
_LONGEST: Final = 255
"""Bytes of a file's or folder's name, on any usual file system."""


def is_line(text: object) -> TypeGuard[str]:
    """Whether it is text, of one line."""
    if not isinstance(text, str) or not text.strip():
        return False
    return text.isprintable() or not any(category(c) in _UNFIT and ord(c) not in _BYTES for c in text)


def is_file_name(name: str) -> bool:
    """Whether a file can be called so, folders before it included."""
    parts = re.split(r"[/\\]", name)
    return is_line(name) and all(len(part.encode("utf-8", "surrogateescape")) <= _LONGEST for part in parts)


def is_id(key: object) -> bool:
    """Whether it can tell entries apart: a whole number, also as 1.0, or text of one line; no truth value."""
    return type(key) is int or (isinstance(key, float) and key.is_integer()) or key == "" or is_line(key)
