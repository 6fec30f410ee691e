"""Settings whose best value lies at the edge of what was searched: a wider search may find a better one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bissl_ray.leaderboard.configurations import Configuration
from bissl_ray.words import PARAMETER_PREFIX, Kind, Status

if TYPE_CHECKING:
    from bissl_ray.config.search_space import SearchSpace

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Edge:
    """A setting whose best value lies at an end of its range.

    Attributes:
        setting: its name.
        kinds: whose best lies there: BiSSL's, plain fine-tuning's, or both.
        sentence: the value, the range, and what to widen it to.
    """

    setting: str
    kinds: tuple[Kind, ...]
    sentence: str


def edges(space: "SearchSpace", winner: Point | None, control: Point | None) -> list[Edge]:
    """Find what to widen in a space by the best points of a sweep that searched it.

    Only what searched at all is looked at, and what the best point reads (a first-order gradient has no damping); of
    plain fine-tuning what it searches. A range that ends where the setting itself does (no momentum, no weight decay)
    has nothing to be widened to.

    Args:
        space: the sweep's.
        winner: settings of BiSSL's best configuration; None before there is one.
        control: of plain fine-tuning's best point, likewise.
    """
    from bissl_ray.config.settings import unread  # takes long to import; the board does without
    from bissl_ray.config.widening import edge_of, widened

    protocol = space.protocol
    searched = {**space.parameters} if protocol.trials > 1 else {}
    tuned = space.finetune_parameters if protocol.finalists * protocol.finetune_runs > 1 else {}
    idle = frozenset[str]() if winner is None else unread(winner)
    found = []
    for name, parameter in {**searched, **tuned}.items():
        if name in idle:
            continue
        points = {Kind.BISSL: winner, Kind.CONTROL: control if name in tuned else None}
        best = {kind: point[name] for kind, point in points.items() if point is not None and name in point}
        for end in ("low", "high"):
            there = {kind: value for kind, value in best.items() if edge_of(parameter, value) == end}
            wider = widened(name, parameter, end) if there else None  # type: ignore[arg-type]
            if wider is not None:
                found.append(Edge(name, tuple(there), _sentence(name, there, end, parameter, wider)))
    return found


def edges_of_best(
    space: "SearchSpace | None", winner: Configuration | None, control: Configuration | None
) -> list[Edge]:
    """As `edges`, by the confirmed configurations of a sweep; nothing where its space is not known."""
    return [] if space is None else edges(space, None if winner is None else _point(winner), _point(control))


def _point(configuration: Configuration | None) -> Point | None:
    """The settings that a configuration was confirmed with."""
    seeds = () if configuration is None else configuration.seeds
    row = next((row for row in seeds if row["status"] == Status.COMPLETE), None)
    if row is None:
        return None
    return {name.removeprefix(PARAMETER_PREFIX): row[name] for name in row if name.startswith(PARAMETER_PREFIX)}


def _sentence(name: str, best: Mapping[Kind, Any], end: str, parameter: Any, wider: tuple[float, float]) -> str:
    of = {Kind.BISSL: "the best", Kind.CONTROL: "the best of plain fine-tuning"}
    (kind, value), *others = best.items()
    too = "".join(f", and so does that of plain fine-tuning, {other:.3g}" for _, other in others)
    return (
        f"{name}: {of[kind]}, {value:.3g}, lies at the {end} end of {_span(parameter.low, parameter.high)}{too}: widen "
        f"it to {_span(*wider)} and search again"
    )


def _span(low: float, high: float) -> str:
    return f"{low:g} .. {high:g}"
