"""Reads a file of what is said once; every refusal is one line with file and line."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bissl_ray.config.said_once.keys import KEYS, is_of_one_command, why_no_key
from bissl_ray.config.said_once.layers import Layer, Said
from bissl_ray.config.said_once.secret import secret_key, secret_value
from bissl_ray.config.said_once.values import Unfit
from bissl_ray.config.text_file import read_text
from bissl_ray.errors import BadInputError, nearest

_Path = tuple[str, ...]
_TABLES: Final = "datasets"
_HEADER: Final = re.compile(r"\s*\[(?P<path>[^\[\]]+)\]\s*(#.*)?")
_KEY: Final = re.compile(r"\s*(?P<path>[^=#\[\]{}]+?)\s*=")


def read_file(path: Path, label: str) -> Layer:
    """Read a file.

    Args:
        path: of the file.
        label: how lines call it.

    Raises:
        BadInputError: it can't be read, is no TOML, or says something that can't be said there.
    """
    text = read_text(path, label, "a TOML file")
    try:
        content = tomllib.loads(text)
        return _Reader(path.absolute().parent, label, _lines(text)).layer(content)
    except RecursionError:
        raise BadInputError(f"{label}: found tables or lists nested too deeply, expected keys and values") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(_no_toml(label, str(error), text)) from None
    except ValueError:  # Python's own
        raise BadInputError(f"{label}: found a number of thousands of digits, expected one of 64 bits") from None


class _Reader:
    def __init__(self, base: Path, label: str, lines: Mapping[_Path, int]):
        self._base, self._label, self._lines = base, label, lines

    def layer(self, content: dict[str, Any]) -> Layer:
        self._refuse_secrets(content, ())
        tables = content.pop(_TABLES, {})
        said = dict(self._table(content, None))
        if not isinstance(tables, dict):
            raise self._refusal((_TABLES,), f"found no table, expected one for each dataset: [{_TABLES}.cars]")
        for dataset, table in tables.items():
            if not isinstance(table, dict):
                why = why_no_key(dataset) if dataset not in KEYS else f"expected a dataset's name: [{_TABLES}.cars]"
                raise self._refusal((_TABLES, dataset), why)
            said |= dict(self._table(table, dataset))
        return Layer(self._label, said)

    def _table(self, table: dict[str, Any], dataset: str | None) -> Iterator[tuple[tuple[str | None, str], Said]]:
        above = () if dataset is None else (_TABLES, dataset)
        written: dict[str, str] = {}
        for name, value in table.items():
            path, plain = (*above, name), name.replace("_", "-")
            self._check_key(path, plain, value, dataset)
            if plain in written:
                raise self._refusal(path, f"found {written[plain]!r} as well, expected one of the two")
            written[plain] = name
            try:
                read = KEYS[plain].read(value, self._base)
            except Unfit as wrong:
                raise self._refusal(path, f"{plain}: {wrong}") from None
            yield (dataset, plain), Said(plain, read, self._place(path), dataset)
        for plain, name in written.items():
            partner = KEYS[plain].beside
            if partner is not None and partner not in written:
                raise self._refusal(
                    (*above, name), f"found {plain} without {partner}, which it says more about; put it beside that"
                )

    def _check_key(self, path: _Path, plain: str, value: Any, dataset: str | None) -> None:
        if isinstance(value, dict) and dataset is None:
            expected = f"tables of datasets are called [{_TABLES}.NAME]"
            hint = "" if plain == "dataset" else nearest(plain, (_TABLES,))
            raise self._refusal(path, f"found a table {path[-1]!r}; {expected}{hint}")
        if plain not in KEYS:
            raise self._refusal(path, why_no_key(plain, path[-1]))
        if dataset is not None and not KEYS[plain].of_dataset:
            raise self._refusal(path, f"found {plain}, which is for all datasets; move it above the first table")

    def _refuse_secrets(self, content: Any, path: _Path) -> None:
        for name, value in content.items():
            plain = name.replace("_", "-")
            known = plain in KEYS or is_of_one_command(plain) or path == (_TABLES,)
            wrong = (None if known else secret_key(name)) or secret_value(value)
            if wrong is not None:
                raise self._refusal((*path, name), wrong)
            if isinstance(value, dict):
                self._refuse_secrets(value, (*path, name))

    def _refusal(self, path: _Path, why: str) -> BadInputError:
        return BadInputError(f"{self._place(path)}: {why}")

    def _place(self, path: _Path) -> str:
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self._label}:{self._lines[path]}" if path else self._label


def _no_toml(label: str, said: str, text: str) -> str:
    what, _, where = said.partition(" (at ")
    line = re.match(r"line (\d+)", where)
    number = line[1] if line else max(1, len(text.splitlines()))
    expected = 'expected lines such as data-dir = "/data"'
    return f"{label}:{number}: this is no TOML ({what[:1].lower()}{what[1:]}); {expected}"


def _lines(text: str) -> dict[_Path, int]:
    """By key and table, the line where it begins, as far as a look at the beginnings of lines tells."""
    found: dict[_Path, int] = {}
    table: _Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            table = path = _parts(header["path"])
        elif key := _KEY.match(line):
            path = (*table, *_parts(key["path"]))
        else:
            continue
        for end in range(1, len(path) + 1):
            found.setdefault(path[:end], number)
    return found


def _parts(written: str) -> _Path:
    """The parts of a key: a."b c".d."""
    try:
        content: Any = tomllib.loads(f"{written} = 0")
    except ValueError:
        return (written,)
    parts: list[str] = []
    while isinstance(content, dict):
        ((name, content),) = content.items()
        parts.append(name)
    return tuple(parts)
