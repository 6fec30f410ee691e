"""A YAML file as plain values, with the line of every key, so that an error can say where to look."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from bissl_ray.config.how_to_write import missing_space
from bissl_ray.config.scalars import Scalar, is_number, read_plain, typographic
from bissl_ray.config.text_file import read_text
from bissl_ray.config.yaml_syntax import character_message, syntax_message
from bissl_ray.errors import BadInputError

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document down to one value."""


def nearest_key(path: KeyPath, known: Container[KeyPath]) -> KeyPath:
    """The longest part of a path, from the top on, that is known; empty where none is."""
    return next((path[:depth] for depth in range(len(path), 0, -1) if path[:depth] in known), ())


# Deeper than any search space goes; also stops an anchor that contains itself.
_MOST_LEVELS = 8
# More than any search space has: anchors within anchors may unfold to billions.
_MOST_VALUES = 100_000


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


# Beside the tags of YAML, so that a tag that was written is told from one that was made out.
_PLAIN = "plain"
_MERGE = "<<"
_PREFIX = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, leaving to `read_plain` what a scalar without quotes is: YAML's versions differ there."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a node that was given none."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


def read_document(path: Path, label: str, truths: Container[str] = ()) -> Document:
    """Read a YAML file whose top is a mapping; messages name it by the label.

    Args:
        path: of the file.
        label: what messages call it.
        truths: keys at or below which yes, no, on and off are true and false; anywhere else they are names.

    Raises:
        BadInputError: unreadable, not UTF-8, not YAML, empty, not a mapping, or with a key given twice.
    """
    text = read_text(path, label, "a YAML file")
    try:
        return _parse(text, label, truths)
    except RecursionError:
        raise BadInputError(f"{label}: found keys nested too deeply, expected a search space") from None
    except yaml.MarkedYAMLError as error:
        raise BadInputError(syntax_message(error, label, text)) from error
    except yaml.reader.ReaderError as error:
        raise BadInputError(character_message(error, label, text)) from None


def _parse(text: str, label: str, truths: Container[str]) -> Document:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    finally:
        loader.dispose()
    if root is None:
        raise BadInputError(f"{label}:1: found an empty file, expected keys such as dataset and parameters")
    lines: dict[KeyPath, int] = {}
    values = _Walk(label, lines, truths).value(root, ())
    if not isinstance(values, dict):
        found = "a list" if isinstance(values, list) else repr(values)
        hint = missing_space(values) if isinstance(values, str) else ""
        raise BadInputError(
            f"{label}:{_line(root)}: found {found}, expected a mapping: keys such as dataset and parameters{hint}"
        )
    return Document(label, values, lines)


@dataclass(frozen=True)
class _Walk:
    """Turn composed nodes into values, writing down lines on the way."""

    label: str
    lines: dict[KeyPath, int]
    truths: Container[str]
    numbers: Iterator[int] = field(default_factory=count)

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count(node)
        if len(path) > _MOST_LEVELS:
            raise self._refusal(node, "found keys nested too deeply, expected a search space")
        tag = node.tag.removeprefix(_PREFIX)
        if isinstance(node, yaml.MappingNode) and tag == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and tag == "seq":
            items = []
            for position, item in enumerate(node.value):
                self.lines[(*path, position)] = _line(item)
                items.append(self.value(item, (*path, position)))
            return items
        if isinstance(node, yaml.ScalarNode) and tag in (_PLAIN, "str"):
            return self._scalar(node, path) if tag == _PLAIN else node.value
        written = f"!!{tag}" if node.tag.startswith(_PREFIX) else tag
        raise self._refusal(node, f"found the tag {written}, expected a value without one; delete the tag")

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Scalar:
        if odd := typographic(node.value):
            raise self._refusal(node, f"{odd}, or put it in straight quotes to keep it")
        return read_plain(node.value, truth=any(part in self.truths for part in path))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, inside: tuple[yaml.Node, ...] = ()) -> dict[str, Any]:
        self._count(node)
        inherited: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == _MERGE:
                for merged in self._merged(key_node, value_node, (*inside, node)):
                    # Of several, the first has the last word.
                    inherited = self._mapping(merged, path, (*inside, node)) | inherited
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == _MERGE:
                continue
            key = self._key(key_node)
            if key in values:
                first = self.lines[(*path, key)]
                raise self._refusal(
                    key_node, f"found key {key!r} again (first on line {first}), expected it once; delete one"
                )
            self.lines[(*path, key)] = _line(key_node)
            values[key] = self.value(value_node, (*path, key))
        return inherited | values

    def _merged(self, key: yaml.Node, node: yaml.Node, inside: tuple[yaml.Node, ...]) -> list[yaml.MappingNode]:
        """The mappings that a merge key takes over."""
        merged: list[Any] = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for each in merged:
            if not isinstance(each, yaml.MappingNode) or any(each is outer for outer in inside):
                raise self._refusal(key, f"found {_MERGE} without a mapping to merge, expected one: {_MERGE}: *NAME")
        return merged

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._refusal(node, "found a list or mapping as a key, expected a name")
        key = str(node.value)
        if odd := typographic(key):
            raise self._refusal(node, odd)
        if hint := missing_space(key):
            raise self._refusal(node, f"found {key!r}, expected key: value{hint}")
        if node.tag == _PLAIN and is_number(read_plain(key)):
            dot = "if it follows a decimal comma, write a dot instead, as in 0.5"
            raise self._refusal(node, f"found the number {key} as a key, expected a name; {dot}")
        return key

    def _count(self, node: yaml.Node) -> None:
        if next(self.numbers) > _MOST_VALUES:
            raise self._refusal(
                node, f"found more than {_MOST_VALUES:,} values behind its anchors, expected a search space"
            )

    def _refusal(self, node: yaml.Node, message: str) -> BadInputError:
        return BadInputError(f"{self.label}:{_line(node)}: {message}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
