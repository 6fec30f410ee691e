"""What a person writes without quotes: a number, a truth, nothing, or a name.

Numbers are Python's decimals, with or without an exponent or underscores, and 0x, 0o and 0b. What versions of YAML read
as different values (010, 1:30, yes, 2024-01-01) stays text: a name may look like that, and where a number is expected
the refusal says how to write it (how_to_write.py).
"""

import re
import unicodedata
from typing import Final

Scalar = bool | int | float | str | None

_NOTHING: Final = ("", "~", "null", "Null", "NULL")
TRUTHS: Final = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}
"""Of a truth, in lower case."""
_NOT_FINITE: Final = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_LONGEST: Final = 100
"""Letters of a number; of thousands of digits none is made, nor could it be written again."""
_DIGITS: Final = "[0-9][0-9_]*"
_REAL: Final = re.compile(rf"[-+]?(?:{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS}|{_DIGITS}(?=[eE]))(?:[eE][-+]?[0-9]+)?")


def read_plain(text: str, truth: bool = False) -> Scalar:
    """Read what is written without quotes.

    Args:
        text: as written.
        truth: whether it is for a setting that is true or false, for which yes, no, on and off are as good.

    Returns:
        The value; the text itself where it is no other.
    """
    if text in _NOTHING:
        return None
    if truth and text.lower() in TRUTHS:
        return TRUTHS[text.lower()]
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return TRUTHS[text.lower()]
    if text.lower() in _NOT_FINITE:
        return float(_NOT_FINITE[text.lower()])
    if not text.isascii() or text != text.strip() or len(text) > _LONGEST:
        return text
    try:
        return float(text) if _REAL.fullmatch(text) else int(text, 0)
    except ValueError:
        return text


def read_argument(text: str, truth: bool = False) -> Scalar:
    """Read a value of the command line, which may be in quotes of its own, as `read_plain` does one of a file."""
    quoted = re.fullmatch(r"""'([^']*)'|"([^"]*)\"""", text)
    return read_plain(text, truth) if quoted is None else text[1:-1]


def is_number(value: object) -> bool:
    """Whether a value is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def typographic(text: str) -> str | None:
    """What was found and expected, for text with characters of a web page or a word processor; None for any other.

    They look like a space, a quote, a hyphen or a digit, or like nothing at all, and are read as part of a word.
    """
    odd = next((char for char in text if _plainly(char) != char), None)
    if odd is None:
        return None
    name = unicodedata.name(odd, "a character").lower()
    meant = "".join(map(_plainly, text)).strip()
    write = f"write {meant}" if meant else "leave it out"
    return f"found {name} (U+{ord(odd):04X}) in {text!r}, expected characters of the keyboard; {write}"


def _plainly(char: str) -> str:
    """The keyboard's character in place of one that looks like it; of quotes nothing, since names need none."""
    if char.isascii():
        return char
    match unicodedata.category(char):
        case "Zs":
            return " "
        case "Pd":
            return "-"
        case "Nd":
            return str(unicodedata.digit(char))
        case "Cf" | "Pi" | "Pf":
            return ""
    # Minus, quotes that open below the line, full-width colon, comma and dot.
    return {"\u2212": "-", "\u201a": "", "\u201e": "", "\uff1a": ":", "\uff0c": ",", "\uff0e": "."}.get(char, char)
