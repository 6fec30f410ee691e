"""What is written where an encoding lacks a character: a plain stand-in, or an escape.

Two error handlers of Python's codecs: STAND_IN for what people read, JSON for JSON, whose escapes mean the same.
Everything without a stand-in is escaped as Python does, `\\u4e2d`; a byte of a file's name that is no text, `\\xe9`.
"""

import codecs
import unicodedata
from typing import Final

STAND_IN: Final = "bissl_ray.stand_in"
JSON: Final = "bissl_ray.json"
EXACT: Final = "backslashreplace"

_MARKS: Final = {
    **{
        "◆": "*",
        "≡": "=",
        "≈": "~",
        "≢": "!=",
        "≠": "!=",
        "≤": "<=",
        "≥": ">=",
        "±": "+/-",
        "−": "-",
        "×": "x",
        "√": "sqrt ",
    },
    **{"≈": "~", "→": "->", "←": "<-", "↑": "^", "↓": "v", "⇒": "=>", "∞": "inf", "∂": "d", "∇": "grad ", "‖": "||"},
    **{"…": "...", "·": "|", "•": "*", "–": "-", "—": "-", "‐": "-", "‑": "-", "∗": "*", "⋅": "."},
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "«": '"', "»": '"', "\u00a0": " ", "\u202f": " ", "½": "1/2"},
    **{"⁻": "-", "⁺": "+", "¹": "1", "²": "^2", "³": "^3", "✓": "ok", "✗": "x", "°": " deg", "µ": "u", "ö": "o"},
    **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True)),
}
_BYTES: Final = range(0xDC80, 0xDD00)
"""Where Python keeps the bytes of a file's name that are no text (PEP 383)."""


def stand_in(character: str) -> str:
    """Say a character in ASCII: by a stand-in, a Greek letter by its name, else by an escape."""
    if character in _MARKS:
        return _MARKS[character]
    kind, _, name = unicodedata.name(character, "").partition(" ")
    if kind == "GREEK" and "LETTER " in name:
        letter = name.rpartition("LETTER ")[2].split(" ")[0].replace("LAMDA", "LAMBDA")
        return letter.capitalize() if name.startswith("CAPITAL") else letter.lower()
    if kind == "BOX":
        if " AND " in name:
            return "+"
        return "-" if name.endswith("HORIZONTAL") else "|" if name.endswith("VERTICAL") else "+"
    if ord(character) in _BYTES:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("ascii", EXACT).decode("ascii")


def encodable(text: str, encoding: str, errors: str = STAND_IN) -> str:
    """Bring a text to what an encoding holds.

    Args:
        text: any.
        encoding: of the stream that it goes to.
        errors: STAND_IN, JSON or EXACT: what comes for what the encoding lacks.
    """
    return text.encode(encoding, errors).decode(encoding)


def _escaped_in_json(character: str) -> str:
    """Escape as JSON does: by UTF-16, two escapes for a character beyond it; what is no text by its surrogate."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def _replace_by_stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(stand_in, error.object[error.start : error.end])), error.end


def _replace_in_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_escaped_in_json, error.object[error.start : error.end])), error.end


codecs.register_error(STAND_IN, _replace_by_stand_in)
codecs.register_error(JSON, _replace_in_json)
