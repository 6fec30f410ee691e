"""From a failed validation to one clear line: what was found, what was expected, the nearest right key."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bissl_ray.config.how_to_write import missing_space, number_hint, truth_hint, whole_hint
from bissl_ray.config.yaml_document import KeyPath
from bissl_ray.errors import BadInputError, nearest

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping (key: value)",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "string_pattern_mismatch": "letters, digits, dots, dashes and underscores",
    "string_too_short": "a name",
    "string_type": "text",
}

# More than any number here has; of thousands of digits Python writes none.
_MOST_BITS = 1000
# More right keys than any mapping of a space file takes, fewer than a trial has settings.
_MOST_KEYS_LISTED = 16


class RuleError(ValueError):
    """A broken rule, raised inside a pydantic validator.

    Attributes:
        path: the offending key, counted from the model whose validator raises.
    """

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path: KeyPath = path


def refusal(
    error: ValidationError, place: Callable[[KeyPath], str], keys: Callable[[KeyPath], Iterable[str]]
) -> BadInputError:
    """Say the first thing that is wrong, on one line.

    Args:
        error: what pydantic found.
        place: names the place of a key, such as ``cars.yaml:4``.
        keys: the keys that are right in the mapping at a path.
    """
    # A mistyped key shows up twice, as unknown and as missing: the unknown one is what the person wrote.
    details = min(error.errors(), key=lambda found: found["type"] == "missing")
    path, message = _explain(details, keys)
    name = dotted(path)
    return BadInputError(f"{place(path)}: {name}: {message}" if name else f"{place(path)}: {message}")


def dotted(path: KeyPath) -> str:
    """Write a path as people do: ``known_good[0].damping``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def found_and_expected(details: ErrorDetails) -> str:
    """Say what was found and what was expected, from one of pydantic's errors about a value."""
    if details["type"] == "value_error" and isinstance(broken := details["ctx"]["error"], RuleError):
        return str(broken)
    value = details["input"]
    expected = _EXPECTED.get(details["type"], details["msg"].removeprefix("Input should be "))
    if expected.startswith(("greater", "less")):
        expected = f"a value {expected}"
    return f"found {shown(value)}, expected {expected}{_hint(details)}"


def wrong_in(error: ValidationError) -> str:
    """The first thing that is wrong in what a release of ours has written: where, what was found, what was expected."""
    details = error.errors()[0]
    place = dotted(tuple(details["loc"]))
    if details["type"] == "missing":
        return f"{place}: found nothing, expected it"
    if details["type"] == "extra_forbidden":
        return f"{place}: found a key that this release doesn't know: it was written by another release"
    if details["type"] == "value_error":
        return f"{place}: {details['ctx']['error']}" if place else f"found {details['ctx']['error']}"
    return f"{place}: {found_and_expected(details)}"


def shown(value: Any) -> str:
    """Write a found value for a message; what is long or hidden is named by its kind."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case int() if value.bit_length() > _MOST_BITS:
            return f"a whole number of {value.bit_length():,} bits"
        case _:
            return repr(value)


def unknown_key(key: str, right: Iterable[str]) -> str:
    """Say that a key is unknown: the right ones, or where they are many the nearest, or what lists them."""
    right = list(right)
    suggestion = nearest(key, right)
    if len(right) <= _MOST_KEYS_LISTED:
        expected = f"one of {', '.join(right)}"
    else:
        expected = "the name of a training setting" + (
            "" if suggestion else ", as `bissl-ray train --dry-run` lists them"
        )
    return f"found unknown key {key!r}, expected {expected}{suggestion}"


def _explain(details: ErrorDetails, keys: Callable[[KeyPath], Iterable[str]]) -> tuple[KeyPath, str]:
    path = _without_tag(details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        return path, unknown_key(str(path[-1]), keys(path[:-1]))
    if kind == "missing":
        return path[:-1], f"found no key {path[-1]!r}, expected it (keys here: {', '.join(keys(path[:-1]))})"
    if kind == "union_tag_not_found":
        return path, "found no key 'type', expected float, int or categorical there"
    if kind == "union_tag_invalid":
        tag = details["ctx"]["tag"]
        hint = nearest(str(tag), ("float", "int", "categorical"))
        return (*path, "type"), f"found {shown(tag)}, expected float, int or categorical{hint}"
    broken = details["ctx"]["error"] if kind == "value_error" else None
    return (*path, *(broken.path if isinstance(broken, RuleError) else ())), found_and_expected(details)


def _without_tag(path: KeyPath) -> KeyPath:
    """Drop the parameter type that pydantic puts into paths below ``parameters.lower_lr``."""
    if len(path) > 2 and path[0] in ("parameters", "finetune_parameters"):
        return (*path[:2], *path[3:])
    return path


def _hint(details: ErrorDetails) -> str:
    """How to write what was meant, or the nearest right word, as an ending; empty where nobody can tell."""
    value = details["input"]
    match details["type"]:
        case "literal_error" if isinstance(value, str):
            return nearest(value, re.findall(r"'([^']*)'", details["ctx"]["expected"]))
        case "float_type" | "int_type" if isinstance(value, str):
            return number_hint(value, whole=details["type"] == "int_type")
        case "int_type" | "int_from_float" if isinstance(value, float):
            return whole_hint(value)
        case "bool_type":
            return truth_hint(value)
        case "string_type" if isinstance(value, int | float):
            return "; put it in quotes"
        case "dict_type" | "model_type" | "model_attributes_type" if isinstance(value, str):
            return missing_space(value)
        case _:
            return ""
