"""Load a search space: merge a file with what it extends, and refuse what is wrong by file and line."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bissl_ray.config.parameters import CategoricalParameter, FloatParameter, IntParameter
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.refusal import dotted, refusal
from bissl_ray.config.search_space import SETTING_SECTIONS, SearchSpace, SpaceFile
from bissl_ray.config.settings import Settings
from bissl_ray.config.space_files import find_space, read_chain
from bissl_ray.config.yaml_document import Document, KeyPath
from bissl_ray.errors import BadInputError

_COMMAND_LINE = "command line"

_PARAMETER_MODELS: dict[str, type[BaseModel]] = {
    "float": FloatParameter,
    "int": IntParameter,
    "categorical": CategoricalParameter,
}


def load_search_space(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> SearchSpace:
    """Load a search space with everything that it extends.

    A child's word wins over its parent's, key by key: a parameter replaces the whole parameter; a setting
    searched by the parent and fixed by the child is fixed, and the other way round; ``known_good``, if given,
    replaces the parent's list. Of its points, those that name another pretext than the space's own are left out.

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
    if overrides:
        if "extends" in overrides:
            raise BadInputError(f"{_COMMAND_LINE}: extends: found among overrides, expected in a file only")
        layers.append(Document(_COMMAND_LINE, dict(overrides)))
    for layer in layers:
        _validate_alone(layer)
    return _merge(layers)


def _validate_alone(layer: Document) -> None:
    """Refuse what is wrong in one file, whatever its children make of it."""
    try:
        SpaceFile.model_validate(layer.values)
    except ValidationError as error:
        raise refusal(error, layer.place, _right_keys(layer.values)) from error


def _merge(layers: list[Document]) -> SearchSpace:
    merged: dict[str, Any] = {section: {} for section in (*SETTING_SECTIONS, "protocol")}
    origins: dict[KeyPath, Document] = {}
    for layer in layers:
        for section in SETTING_SECTIONS:
            for name, value in layer.values.get(section, {}).items():
                for other in set(SETTING_SECTIONS) - {section}:
                    merged[other].pop(name, None)
                    origins.pop((other, name), None)
                merged[section][name] = value
                origins[(section, name)] = layer
        for name, value in layer.values.get("protocol", {}).items():
            merged["protocol"][name] = value
            origins[("protocol", name)] = layer
        for key in ("dataset", "known_good"):
            if key in layer.values:
                merged[key] = layer.values[key]
                origins[(key,)] = layer

    def place(path: KeyPath) -> str:
        # The file that gave the key, or the nearest key above it: each is right by itself, but not with the others.
        known = (path[:depth] for depth in range(len(path), 0, -1) if path[:depth] in origins)
        return origins.get(next(known, ()), layers[-1]).place(path)

    sources = {dotted(path): layer.label for path, layer in origins.items()}
    try:
        return _with_own_points(SearchSpace.model_validate({**merged, "sources": sources}))
    except ValidationError as error:
        raise refusal(error, place, _right_keys(merged)) from error


def _with_own_points(space: SearchSpace) -> SearchSpace:
    """Keep the known-good points of the space's own pretext, no longer naming it, and those that never named one."""
    if "pretext" in space.parameters:
        return space  # a sweep refuses to search it, whatever the points say
    pretext = space.settings({}).pretext
    own = [point for point in space.known_good if point.get("pretext", pretext) == pretext]
    points = [{name: value for name, value in point.items() if name != "pretext"} for point in own]
    return space.model_copy(update={"known_good": points})


def _right_keys(values: Mapping[str, Any]) -> Callable[[KeyPath], Iterable[str]]:
    """For each path into a space file, the keys that are right there."""

    def keys(path: KeyPath) -> Iterable[str]:
        match path:
            case ():
                return SpaceFile.model_fields
            case ("protocol",):
                return Protocol.model_fields
            case ("parameters" | "finetune_parameters" as section, name):
                return _PARAMETER_MODELS[values[section][name]["type"]].model_fields
            case _:
                return Settings.model_fields

    return keys
