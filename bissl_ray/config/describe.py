"""A resolved search space as YAML that loads again, with the file that each key came from."""

from typing import Any

import yaml

from bissl_ray.config.search_space import SearchSpace


def to_yaml(space: SearchSpace) -> str:
    """Write a resolved space as a file that extends nothing.

    Args:
        space: the space.

    Returns:
        YAML; each key ends in a comment naming the file that it came from, "default" where none gives it.
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
    return "".join(f"{text:<{width}}{comment}".rstrip() + "\n" for text, comment in rows)


def _one_line(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    # A lone scalar is followed by an end-of-document mark.
    return text.removesuffix("...\n").rstrip("\n")


def _source(space: SearchSpace, key: str) -> str:
    return f"  # {space.sources.get(key, 'default')}"
