"""Annotations in COCO's form without the outlines of objects: nine tenths of the file, and not asked for."""

from collections.abc import Iterator
from typing import Final

_KEY: Final = b'"segmentation"'
_OF_LISTS: Final = b"0123456789.,eE+-[] \t\r\n"


def without_outlines(content: bytes) -> bytes:
    """JSON with 0 for every "segmentation" that is a list of numbers or of such lists; all else stays as it is.

    To read them all as numbers would take most of the time, and most of the memory.
    """
    return b"".join(_kept(content))


def _kept(content: bytes) -> Iterator[memoryview | bytes]:
    view = memoryview(content)
    start = 0
    while (place := content.find(_KEY, start)) >= 0:
        after = place + len(_KEY)
        end = content.find(b'"', after)
        brace = content.find(b"}", after, end if end >= 0 else len(content))
        end = brace if brace >= 0 else end if end >= 0 else len(content)
        yield view[start:after]
        start = after
        value = content[after:end]
        # Of anything else in it, such as a mask's run lengths or null, some would be left.
        if value.translate(None, _OF_LISTS) == b":" and value.lstrip(b" \t\r\n:").startswith(b"[") and b"]" in value:
            yield b":0"
            start = after + value.rindex(b"]") + 1
    yield view[start:]
