"""What a person gives to `bissl-ray sweep --space` to run a trial again."""

import json
from collections.abc import Mapping
from typing import Any


def space_of(dataset: str, settings: Mapping[str, Any]) -> str:
    """Write a search space that holds all settings and runs them as one trial: YAML, every digit kept.

    It searches nothing, so one fine-tuning run says what several would.
    """
    lines = [f"  {name}: {_yaml(value)}" for name, value in settings.items()]
    return "\n".join([f"dataset: {dataset}", "fixed:", *lines, "protocol: {trials: 1, finalists: 1, finetune_runs: 1}"])


def _yaml(value: Any) -> str:
    """Write a scalar that a YAML reader gives back as it was; it takes 1e-06, without a point, for text."""
    if value is None or isinstance(value, bool | str):
        return json.dumps(value)
    text = repr(value) if isinstance(value, float) else str(value)
    return text.replace("e", ".0e", 1) if isinstance(value, float) and "e" in text and "." not in text else text
