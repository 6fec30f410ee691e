"""An option declared once: a field with its default, and what the command line says of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

KEY: Final = "flag"
"""Of a dataclass field's metadata: its `Flag`; a field without one is no flag."""


@dataclass(frozen=True)
class Flag:
    """How an option looks on the command line.

    Attributes:
        help: one line; what a null stands for is in brackets.
        names: such as "--set"; none: made from the field's name.
        metavar: what stands for its value in the help; None: its type.
        least: the smallest number that it takes; None: any.
        most: the largest one, likewise.
        once: the key under which it may be said once, for many commands (`config.said_once`); None: it is of one run.
    """

    help: str
    names: Sequence[str] = ()
    metavar: str | None = None
    least: float | None = None
    most: float | None = None
    once: str | None = None


def flag(
    help: str,
    *names: str,
    default: Any = None,
    metavar: str | None = None,
    least: float | None = None,
    most: float | None = None,
    once: str | None = None,
) -> Any:
    """A dataclass field that is a flag; arguments as of `Flag`, and its default."""
    return field(default=default, metadata={KEY: Flag(help, names, metavar, least, most, once)})


def flag_of(options: type, name: str) -> str:
    """The flag that gives a field of some options."""
    found = next(each.metadata[KEY] for each in fields(options) if each.name == name)
    return found.names[0] if found.names else f"--{name.replace('_', '-')}"


def keys_of(options: type) -> dict[str, str]:
    """By field of some options, the key under which it may be said once; what is of one run is left out."""
    flags = {each.name: each.metadata[KEY] for each in fields(options) if KEY in each.metadata}
    return {name: found.once for name, found in flags.items() if found.once is not None}
