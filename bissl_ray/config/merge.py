"""Merge a search space file with what it extends and what the command line says, knowing who said what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bissl_ray.config.misfits import Misfit
from bissl_ray.config.refusal import dotted
from bissl_ray.config.search_space import SETTING_SECTIONS
from bissl_ray.config.yaml_document import Document, KeyPath


@dataclass(frozen=True)
class Origins:
    """Which layer gave what.

    Attributes:
        layers: as `merge` takes them.
        files: how many of them are files; the last is the one that was asked for.
        givers: position in `layers` of the one with the last word on each key.
    """

    layers: Sequence[Document]
    files: int
    givers: Mapping[KeyPath, int]

    @property
    def labels(self) -> dict[str, str]:
        """What each key's layer is called, by dotted key."""
        return {dotted(path): self.layers[number].label for path, number in self.givers.items()}

    def place(self, path: KeyPath) -> str:
        """The file that gave a key, or the nearest key above it: each is right by itself, but not with the others."""
        known = (path[:depth] for depth in range(len(path), 0, -1) if path[:depth] in self.givers)
        return self.layers[self.givers.get(next(known, ()), -1)].place(path)

    def inherits(self, misfit: Misfit) -> bool:
        """Whether a known-good point's misfit is no mistake of the person who wrote the point.

        So it is with points of a file that was not asked for itself, and where what the point doesn't go with came
        after it: the person narrowed somebody else's space, or the command line the file's.
        """
        giver = self.givers[("known_good",)]
        later = (self.givers.get((section, name), -1) for section in SETTING_SECTIONS for name in misfit.clashes_with)
        return giver < self.files - 1 or any(number > giver for number in later)


def merge(layers: Sequence[Document], files: int) -> tuple[dict[str, Any], Origins]:
    """Let every layer's word win over those before it, key by key.

    Args:
        layers: what is extended before what extends it, then the command line if it says anything.
        files: how many of them are files.

    Returns:
        One mapping in the shape of a file that extends nothing, and where its keys came from.
    """
    merged: dict[str, Any] = {section: {} for section in (*SETTING_SECTIONS, "protocol")}
    givers: dict[KeyPath, int] = {}
    for number, layer in enumerate(layers):
        for section in SETTING_SECTIONS:
            for name, value in layer.values.get(section, {}).items():
                for other in set(SETTING_SECTIONS) - {section}:
                    merged[other].pop(name, None)
                    givers.pop((other, name), None)
                merged[section][name] = value
                givers[(section, name)] = number
        for name, value in layer.values.get("protocol", {}).items():
            merged["protocol"][name] = value
            givers[("protocol", name)] = number
        for key in ("dataset", "known_good"):
            if key in layer.values:
                merged[key] = layer.values[key]
                givers[(key,)] = number
    return merged, Origins(layers, files, givers)
