"""How to write what was meant, as endings for refusals: of what looks like a number, a truth, nothing or a key."""

import re
from collections.abc import Callable
from typing import Final

from bissl_ray.config.scalars import TRUTHS, is_number, read_plain

_EXACT: Final = 2**53
"""Whole numbers up to here are exact as real ones."""


def number_hint(text: str, whole: bool = False) -> str:
    """How to write the number that a text stands for, as an ending for a refusal; empty where it is none.

    Args:
        text: that was found.
        whole: whether the number must be a whole one.
    """
    text = text.strip()
    if is_number(read_plain(text)):
        return "; write it without quotes"
    for form, words in _FORMS:
        if (match := form.fullmatch(text)) and not (whole and "." in words(match)):
            return f"; {words(match)}"
    return ""


def truth_hint(value: object) -> str:
    """How to write a truth that was written as a text or as 1 or 0; empty for whatever else."""
    if isinstance(value, str) and (word := value.strip().lower()) in TRUTHS:
        return f"; write {str(TRUTHS[word]).lower()} without quotes"
    return f"; write {str(bool(value)).lower()}" if value in (0, 1) else ""


def whole_hint(value: float) -> str:
    """How to write a real number where a whole one is expected: as such, where it is one."""
    return f"; write {int(value)}" if abs(value) <= _EXACT and value.is_integer() else ""


def means_nothing(text: str) -> bool:
    """Whether a text is a word of another language, or null in quotes, for what YAML writes as null."""
    return text.strip().lower() in ("~", "null", "none", "nil", "nothing", "undefined", "na", "n/a", "-")


def missing_space(text: str) -> str:
    """How to write ``key:value``, as an ending for a refusal; empty for text that is no such thing."""
    match = re.match(r"([A-Za-z_]\w*):(?!//)([^\s,}\]]+)", text)
    return "" if match is None else f"; put a space after the colon: {match[1]}: {match[2]}"


def _leading_zero(match: re.Match[str]) -> str:
    sign, digits = match[1], match[2].replace("_", "")
    decimal = f"{sign}{int(digits)}"
    if re.search("[89]", digits) or int(digits) < 8:
        return f"write {decimal}"
    octal = f"{sign}{int(digits, 8)}"
    return f"versions of YAML read it as {octal} or as {decimal}: write the one that is meant"


def _sixties(match: re.Match[str]) -> str:
    *parts, last = match[2].split(":")
    whole = 0
    for part in parts:
        whole = 60 * whole + int(part)
    total = 60 * whole + float(last)
    return f"some versions of YAML read it as {match[1].strip('+')}{total:.15g}: write one number"


def _comma(match: re.Match[str]) -> str:
    whole, rest = match[1], match[2]
    decimal = f"{whole}.{rest}"
    if len(rest) == 3 and re.fullmatch(r"[-+]?[1-9][0-9]{0,2}", whole):
        return f"write {whole}{rest} or {decimal}, whichever is meant"
    return f"write {decimal}"


def _groups(match: re.Match[str]) -> str:
    return f"write {re.sub('[^-+0-9.]', '', match[0])}"


def _percent(match: re.Match[str]) -> str:
    return f"write {float(match[1].replace(',', '.')) / 100:.15g}"


_FORMS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"([-+]?)(0[0-9_]*[0-9])"), _leading_zero),
    (re.compile(r"([-+]?)([0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?)"), _sixties),
    (re.compile(r"([-+]?[0-9]+),([0-9]+)"), _comma),
    (re.compile(r"[-+]?[1-9][0-9]{0,2}(?:[ ,'][0-9]{3})+(?:\.[0-9]+)?"), _groups),
    (re.compile(r"([-+]?[0-9]+(?:[.,][0-9]+)?)\s*%"), _percent),
    (re.compile(r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)[,;]"), lambda match: f"write {match[1]}"),
)
"""What looks like a number and is none, each with what to do about it; where several fit, the first."""
