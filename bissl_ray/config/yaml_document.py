"""A YAML file as plain values, with the line of every key, so that an error can say where to look."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bissl_ray.errors import BadInputError

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document down to one value."""


def nearest_key(path: KeyPath, known: Container[KeyPath]) -> KeyPath:
    """The longest part of a path, from the top on, that is known; empty where none is."""
    return next((path[:depth] for depth in range(len(path), 0, -1) if path[:depth] in known), ())


# Deeper than any search space goes; also stops an anchor that contains itself.
_MOST_LEVELS = 8


@dataclass(frozen=True)
class Document:
    """Values read from one place.

    Attributes:
        label: how messages name the place: a file as the person wrote it, or "command line".
        values: the top-level mapping.
        lines: line, counted from 1, of each key and list item; empty for a document that is no file.
    """

    label: str
    values: dict[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Name the place of a key, or of the nearest key above it: ``cars.yaml:4``."""
        return f"{self.label}:{self.lines.get(nearest_key(path, self.lines), 1)}" if self.lines else self.label


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, reading ``1e-3`` and ``1.0e5`` as YAML 1.2 does: as numbers, not as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def read_document(path: Path, label: str) -> Document:
    """Read a YAML file whose top is a mapping; messages name it by the label.

    Raises:
        BadInputError: unreadable, not UTF-8, not YAML, empty, not a mapping, or with a key given twice.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{label}: can't be read: {error.strerror}; expected a YAML file") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{label}: not UTF-8 at byte {error.start}; save it as UTF-8 text") from error
    try:
        return _parse(text, label)
    except yaml.MarkedYAMLError as error:
        raise BadInputError(_syntax_message(error, label)) from error
    except yaml.YAMLError as error:
        raise BadInputError(f"{label}: not YAML: {' '.join(str(error).split())}") from error


def read_scalar(text: str) -> Any:
    """Read one value as a YAML file writes it; text that is none of YAML's other values is itself."""
    loader = _Loader("")
    try:
        kind = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return loader.construct_object(yaml.ScalarNode(kind, text))
    except ValueError:
        return text
    finally:
        loader.dispose()


def _parse(text: str, label: str) -> Document:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise BadInputError(f"{label}:1: found an empty file, expected keys such as dataset and parameters")
        lines: dict[KeyPath, int] = {}
        values = _Walk(loader, label, lines).value(root, ())
    finally:
        loader.dispose()
    if not isinstance(values, dict):
        found = "a list" if isinstance(values, list) else repr(values)
        raise BadInputError(
            f"{label}:{_line(root)}: found {found}, expected a mapping: keys such as dataset and parameters"
        )
    return Document(label, values, lines)


@dataclass(frozen=True)
class _Walk:
    """Turn composed nodes into values, writing down lines on the way."""

    loader: _Loader
    label: str
    lines: dict[KeyPath, int]

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        if len(path) > _MOST_LEVELS:
            raise self._refusal(node, "found keys nested too deeply, expected a search space")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for position, item in enumerate(node.value):
                self.lines[(*path, position)] = _line(item)
                items.append(self.value(item, (*path, position)))
            return items
        try:
            return self.loader.construct_object(node)
        except ValueError as error:
            raise self._refusal(node, f"found {node.value!r}, which can't be read: {error}") from error

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._refusal(key_node, "found a list or mapping as a key, expected a name")
            key = str(key_node.value)
            if key in values:
                first = self.lines[(*path, key)]
                raise self._refusal(
                    key_node, f"found key {key!r} again (first on line {first}), expected it once; delete one"
                )
            self.lines[(*path, key)] = _line(key_node)
            values[key] = self.value(value_node, (*path, key))
        return values

    def _refusal(self, node: yaml.Node, message: str) -> BadInputError:
        return BadInputError(f"{self.label}:{_line(node)}: {message}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _syntax_message(error: yaml.MarkedYAMLError, label: str) -> str:
    mark = error.problem_mark or error.context_mark
    place = label if mark is None else f"{label}:{mark.line + 1}"
    column = "" if mark is None else f" at column {mark.column + 1}"
    problem = " ".join((error.problem or error.context or "unreadable").split())
    if "'\\t'" in problem:
        return f"{place}: found a tab{column}, expected spaces; indent with spaces only"
    return f"{place}: not YAML{column}: {problem}"
