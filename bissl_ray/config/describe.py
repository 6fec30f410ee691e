"""A resolved search space, or the settings of one run, as YAML that loads again; each key with where it came from."""

from collections.abc import Iterable
from typing import Any

import yaml

from bissl_ray.config.resolved import ResolvedSettings
from bissl_ray.config.scalars import read_plain
from bissl_ray.config.search_space import SearchSpace


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper; quotes text that would read as something else without, for PyYAML or for this package."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None if read_plain(text) == text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(space: SearchSpace) -> str:
    """Write a resolved space as a file that extends nothing.

    Returns:
        YAML; each key ends in a comment naming the file that it came from, "default" where none gives it. Comments
        at the end say what was left out, and why.
    """
    mapping = space.to_mapping()
    points = mapping.pop("known_good")
    rows = [(f"dataset: {_one_line(mapping.pop('dataset'))}", _source(space, "dataset"))]
    for section, entries in mapping.items():
        if entries:
            rows.append((f"{section}:", ""))
        for name, value in entries.items():
            rows.append((f"  {name}: {_one_line(value)}", _source(space, f"{section}.{name}")))
    width = max(len(text) for text, _ in rows)
    if points:
        rows.append(("known_good:", _source(space, "known_good")))
        rows += [(f"  - {_one_line(point)}", "") for point in points]
    rows += [(f"# {note}", "") for note in space.notes]
    return _aligned(rows, width)


def settings_to_yaml(resolved: ResolvedSettings, dataset: str, split_seed: int) -> str:
    """Write all settings of one run as a search space that runs them as one trial.

    Args:
        resolved: the settings; each ends in a comment on where it came from.
        dataset: that they are for.
        split_seed: of the train/validation split, where it is drawn.
    """
    settings = resolved.settings.model_dump().items()
    rows = [
        (f"dataset: {_one_line(dataset)}", ""),
        ("fixed:", ""),
        *((f"  {name}: {_one_line(value)}", f"  # {resolved.origin(name)}") for name, value in settings),
        (f"protocol: {_one_line({'trials': 1, 'seed': split_seed})}", ""),
    ]
    return _aligned(rows, max(len(text) for text, _ in rows))


def _aligned(rows: Iterable[tuple[str, str]], width: int) -> str:
    return "".join(f"{text:<{width}}{comment}".rstrip() + "\n" for text, comment in rows)


def _one_line(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6)
    # A lone scalar is followed by an end-of-document mark.
    return text.removesuffix("...\n").rstrip("\n")


def _source(space: SearchSpace, key: str) -> str:
    return f"  # {space.sources.get(key, 'default')}"
