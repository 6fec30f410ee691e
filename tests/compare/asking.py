"""Comparisons as a person asks for them, with checkpoints as objects instead of words."""

from collections.abc import Sequence
from typing import Any

from bissl_ray.compare.prepare import prepare_comparison
from bissl_ray.compare.starts import Start
from bissl_ray.config.options import CompareOptions
from bissl_ray.config.requests import Comparison


def options(starts: Sequence[Start] = (), settings: dict[str, Any] | None = None, **others: Any) -> CompareOptions:
    """Options that give these checkpoints, and these settings to hold."""
    files = [f"{start.label}={start.pretrained}" for start in starts if start.pretrained is not None]
    lengths = ",".join(str(start.epochs) for start in starts if start.epochs is not None)
    heads = [start.head for start in starts if start.head is not None]
    return CompareOptions(
        pretrained=files or None,
        pretrain_epochs=lengths or None,
        pretrained_head=heads[0] if heads else None,
        assignments=[f"{name}={value}" for name, value in settings.items()] if settings else None,
        **{name: None if value is None else str(value) if name == "space" else value for name, value in others.items()},
    )


def prepared(
    name: str,
    datasets: list[str] | None = None,
    starts: Sequence[Start] = (),
    storage: str = "/nowhere",
    **others: Any,
) -> Comparison:
    """A comparison that is new."""
    return prepare_comparison(options(starts, datasets=datasets, **others), name, storage, None)


def of_winner(name: str, sweep: str, starts: Sequence[Start] = (), *, storage: str, **others: Any) -> Comparison:
    """A comparison at the winner of a sweep."""
    return prepare_comparison(options(starts, from_sweep=sweep, **others), name, storage, None)
