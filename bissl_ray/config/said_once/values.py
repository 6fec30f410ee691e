"""How a value is read that was said once: its type, and paths relative to where it was said.

A reader takes the value and the folder that its paths are relative to, and gives what a flag would; it raises Unfit
where that can't be.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bissl_ray.config.how_to_write import number_hint, truth_hint
from bissl_ray.config.names import TIMM
from bissl_ray.config.protocol import parse_budget
from bissl_ray.config.refusal import shown
from bissl_ray.config.space_files import shipped_spaces
from bissl_ray.errors import BadInputError

Reader = Callable[[Any, Path], Any]

_LABEL: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")


class Unfit(Exception):  # noqa: N818 it is no error of the program
    """A value that a key can't have: what was found and what was expected."""


def text(value: Any, base: Path) -> str | None:  # noqa: ARG001
    """Any text; None where it is empty, which takes back what was said less nearby."""
    if isinstance(value, dict):
        raise Unfit("found a table, expected text")
    if not isinstance(value, str):
        raise Unfit(f"found {shown(value)}, expected text in quotes")
    return value.strip() or None


def folder(value: Any, base: Path) -> str | None:
    """A folder or a file: made absolute, unless it is a URI."""
    path = text(value, base)
    return None if path is None else _absolute(path, base)


def checkpoint(value: Any, base: Path) -> str | None:
    """A checkpoint: as `folder`, and timm/NAME.TAG stays as it is where no file is called so."""
    path = text(value, base)
    if path is None or (path.startswith(TIMM) and not (base / path).exists()):
        return path
    return _absolute(path, base)


def checkpoints(value: Any, base: Path) -> tuple[str, ...] | None:
    """One checkpoint or a list of them, each FILE or LABEL=FILE."""
    if isinstance(value, list):
        if not value or not all(isinstance(each, str) and each.strip() for each in value):
            raise Unfit("found a list with something else in it, expected checkpoints, each in quotes")
        return tuple(_labelled(each, base) for each in value)
    if not isinstance(value, str):
        raise Unfit(f"found {shown(value)}, expected a checkpoint in quotes, or a list of them")
    return (_labelled(value, base),) if value.strip() else None


def without_label(labelled: str) -> str:
    """The FILE of LABEL=FILE."""
    return _split(labelled)[1]


def space(value: Any, base: Path) -> str | None:
    """The name of a shipped search space, or a file."""
    name = text(value, base)
    if name is None or name in shipped_spaces():
        return name
    return _absolute(name, base)


def budget(value: Any, base: Path) -> str | None:
    """A time, or GPU-hours."""
    limit = text(value, base)
    if limit is not None:
        try:
            parse_budget(limit)
        except BadInputError as error:
            said = str(error).partition(": ")[2]
            raise Unfit(f"found {limit!r}, {said}") from None
    return limit


def count(value: Any, base: Path) -> int:  # noqa: ARG001
    """A whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, int):
        hint = number_hint(value, whole=True) if isinstance(value, str) else ""
        raise Unfit(f"found {shown(value)}, expected a whole number{hint}")
    if not 1 <= value < 2**63:
        raise Unfit(f"found {shown(value)}, expected 1 or more, of at most 64 bits")
    return value


def truth(value: Any, base: Path) -> bool:  # noqa: ARG001
    """True or false."""
    if not isinstance(value, bool):
        raise Unfit(f"found {shown(value)}, expected true or false{truth_hint(value)}")
    return value


def _labelled(value: str, base: Path) -> str:
    label, file = _split(value.strip())
    path = checkpoint(file, base)
    return f"{label}={path}" if label else str(path)


def _split(labelled: str) -> tuple[str, str]:
    label, sign, file = labelled.partition("=")
    return (label, file) if sign and file and _LABEL.fullmatch(label) else ("", labelled)


def _absolute(path: str, base: Path) -> str:
    if "://" in path:
        return path
    try:
        return str((base / Path(path).expanduser()).absolute())
    except RuntimeError:
        raise Unfit(f"found {path!r}, and there is no such home folder here; expected the path in full") from None
