"""Load a search space: merge a file with what it extends, and refuse what is wrong by file and line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bissl_ray.config.combinations import Misfit
from bissl_ray.config.parameters import CategoricalParameter, FloatParameter, IntParameter, Point
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.refusal import dotted, refusal
from bissl_ray.config.search_space import SETTING_SECTIONS, SearchSpace, SpaceFile
from bissl_ray.config.settings import Settings
from bissl_ray.config.space_files import find_space, read_chain
from bissl_ray.config.yaml_document import Document, KeyPath, nearest_key
from bissl_ray.errors import BadInputError

_COMMAND_LINE = "command line"

_PARAMETER_MODELS: dict[str, type[BaseModel]] = {
    "float": FloatParameter,
    "int": IntParameter,
    "categorical": CategoricalParameter,
}


@dataclass(frozen=True)
class Origins:
    """Which layer gave what.

    Attributes:
        layers: what is extended before what extends it, then the command line if it says anything.
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
        return self.layers[self.givers.get(nearest_key(path, self.givers), -1)].place(path)

    def inherits(self, misfit: Misfit) -> bool:
        """Whether a known-good point's misfit is no mistake of the person who wrote the point.

        So it is with points of a file that was not asked for itself, and where what the point doesn't go with came
        after it: the person narrowed somebody else's space, or the command line the file's.
        """
        giver = self.givers[("known_good",)]
        later = (self.givers.get((section, name), -1) for section in SETTING_SECTIONS for name in misfit.clashes_with)
        return giver < self.files - 1 or any(number > giver for number in later)


def load_search_space(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> SearchSpace:
    """Load a search space with everything that it extends.

    A child's word wins over its parent's, key by key: a parameter replaces the whole parameter; a setting
    searched by the parent and fixed by the child is fixed, and the other way round; ``known_good``, if given,
    replaces the parent's list. Of its points, those that name another pretext than the space's own are left out; so
    are inherited ones that don't fit what the child searches or fixes, with a line for each in the space's notes.

    Args:
        name_or_path: a shipped space's name (``cars``), or a file.
        overrides: what the command line asks for, in the shape of a file without ``extends``; has the
            last word.

    Returns:
        The resolved space.

    Raises:
        BadInputError: anything wrong in any of the files or in the overrides; one line naming file and line.
    """
    layers = read_chain(find_space(name_or_path))
    files = len(layers)
    if overrides:
        if "extends" in overrides:
            raise BadInputError(f"{_COMMAND_LINE}: extends: found among overrides, expected in a file only")
        layers.append(Document(_COMMAND_LINE, dict(overrides)))
    for layer in layers:
        _validate_alone(layer)
    merged, origins = _merge(layers, files)
    points = merged.pop("known_good", [])
    try:
        space = SearchSpace.model_validate({**merged, "sources": origins.labels})
    except ValidationError as error:
        raise refusal(error, origins.place, partial(_right_keys, merged)) from error
    return _with_points(space, points, origins)


def _validate_alone(layer: Document) -> None:
    """Refuse what is wrong in one file, whatever its children make of it."""
    try:
        SpaceFile.model_validate(layer.values)
    except ValidationError as error:
        raise refusal(error, layer.place, partial(_right_keys, layer.values)) from error


def _merge(layers: Sequence[Document], files: int) -> tuple[dict[str, Any], Origins]:
    """Let every layer's word win over those before it, key by key; arguments as of `Origins`.

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


def _with_points(space: SearchSpace, points: list[Point], origins: Origins) -> SearchSpace:
    """Add the known-good points of the space's own pretext, no longer naming it, and those that never named one.

    Inherited points that don't fit are left out, with a note.

    Raises:
        BadInputError: a point that is not inherited doesn't fit.
    """
    # A sweep refuses to search the pretext, whatever the points say.
    pretext = None if "pretext" in space.parameters else space.settings({}).pretext
    kept, notes = [], []
    for position, point in enumerate(points):
        misfits = space.misfits(point)
        for misfit in misfits:
            if not origins.inherits(misfit):
                path = ("known_good", position, misfit.name)
                raise BadInputError(f"{origins.place(path)}: {dotted(path)}: {misfit.refusal}")
        if pretext is not None and point.get("pretext", pretext) != pretext:
            continue
        if misfits:
            reasons = "; ".join(misfit.note for misfit in misfits)
            notes.append(f"left out: known-good point {position + 1} of {space.sources['known_good']}: {reasons}")
        else:
            kept.append({name: value for name, value in point.items() if name != "pretext" or pretext is None})
    return space.model_copy(update={"known_good": kept, "notes": notes})


def _right_keys(values: Mapping[str, Any], path: KeyPath) -> Iterable[str]:
    """The keys that are right at a path into a space file of these values."""
    match path:
        case ():
            return SpaceFile.model_fields
        case ("protocol",):
            return Protocol.model_fields
        case ("parameters" | "finetune_parameters" as section, name):
            return _PARAMETER_MODELS[values[section][name]["type"]].model_fields
        case _:
            return Settings.model_fields
