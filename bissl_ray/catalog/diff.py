"""What two trials, or two sweeps, differ in: settings, and scores paired by seed where both have the seeds."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

from bissl_ray.catalog.pairs import Difference, Pair, differences, scores_of
from bissl_ray.config.columns import settings_of_row
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.parameters import Parameter
from bissl_ray.controls import PLAIN
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.board import find_trial
from bissl_ray.leaderboard.configurations import Configuration, best_bissl, best_control, gather
from bissl_ray.store import read_trials, to_rows
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.store.paths import sweep_names
from bissl_ray.store.reader import places_of
from bissl_ray.store.schema import Row

_FACTS: Final = (
    *("dataset", "sweep", "trial", "phase", "step", "parent", "control", "origin", "seed", "labels_per_class"),
    *("label_draw", "status", "workers", "device", "threads", "git"),
)
"""What else of a trial is shown where it differs."""
_OF_SWEEP: Final = ("dataset", "data", "pretrained", "workers_per_trial", "gpus_per_worker", "resources", "control")


@dataclass(frozen=True)
class Diff:
    """Two trials or two sweeps beside each other.

    Attributes:
        what: that they are.
        a: name of the first: SWEEP/TRIAL, or the sweep.
        b: of the second.
        settings: that differ; of sweeps what is searched, fixed and asked for, and of their winners.
        facts: what else differs.
        scores: of both.
        notes: what keeps the scores from being compared, in words.
    """

    what: Literal["trials", "sweeps"]
    a: str
    b: str
    settings: Sequence[Difference]
    facts: Sequence[Difference]
    scores: Sequence[Pair]
    notes: Sequence[str]


def diff(storage: str, a: str, b: str, sweep: str | None = None) -> Diff:
    """Set two trials or two sweeps beside each other.

    Args:
        storage: absolute.
        a: a sweep's name, a trial's, or SWEEP/TRIAL.
        b: likewise, of the same kind.
        sweep: of trials that are named without one, where several sweeps have one of that name.

    Raises:
        BadInputError: there is no such trial or sweep, or one of each.
    """
    sweeps = {*sweep_names(storage), *_swept(storage)} if sweep is None else set()
    are_sweeps = [name in sweeps and "/" not in name for name in (a, b)]
    if all(are_sweeps):
        return _of_sweeps(storage, a, b)
    if any(are_sweeps):
        one, other = (a, b) if are_sweeps[0] else (b, a)
        raise BadInputError(
            f"{one} is a sweep and {other} is none: give two sweeps, or two trials (a trial of it: {one}/TRIAL)"
        )
    return _of_trials(storage, [_named(storage, name, sweep) for name in (a, b)])


def _swept(storage: str) -> set[str]:
    return {sweep for _, sweep in places_of(storage)}


def _named(storage: str, name: str, sweep: str | None) -> tuple[Row, list[Row]]:
    of, _, trial = name.rpartition("/")
    return find_trial(storage, trial, of or sweep)


def _of_trials(storage: str, found: Sequence[tuple[Row, list[Row]]]) -> Diff:
    (a, _), (b, _) = found
    documents = [_document(storage, row["sweep"]) for row in (a, b)]
    notes = _unlike(documents, (a["dataset"], b["dataset"]))
    one, other = (gather([row, *children])[0] for row, children in found)
    scores = [] if a["dataset"] != b["dataset"] else scores_of("", one, other, pair=not notes)
    if not notes and one.scores and other.scores and not one.scores.keys() & other.scores.keys():
        notes = ["they have no seed in common: seeds are not paired"]
    return Diff(
        "trials",
        f"{a['sweep']}/{a['trial']}",
        f"{b['sweep']}/{b['trial']}",
        settings=differences(settings_of_row(a), settings_of_row(b)),
        facts=differences(_facts(a), _facts(b)),
        scores=scores,
        notes=notes,
    )


def _facts(row: Row) -> dict[str, Any]:
    return {**{name: row[name] for name in _FACTS}, **json.loads(row["versions"] or "{}")}


def _of_sweeps(storage: str, a: str, b: str) -> Diff:
    documents = [_document(storage, name) for name in (a, b)]
    rows = [to_rows(read_trials(storage, sweep=name)) for name in (a, b)]
    datasets = [_dataset(each, document) for each, document in zip(rows, documents, strict=True)]
    notes = _unlike(documents, (datasets[0], datasets[1]))
    pair = not notes
    notes += [
        f"sweep.json of {name} can't be read: what it was asked for is not compared"
        for name, document in zip((a, b), documents, strict=True)
        if document is None
    ]
    configurations = [gather(each) for each in rows]
    scores: list[Pair] = []
    facts: list[Difference] = []
    if all(configurations) and datasets[0] == datasets[1]:
        for of, best in (("winner", best_bissl), ("control", best_control)):
            one, other = (best(each, each[0].sweep) for each in configurations)
            if one is not None and other is not None:
                scores += scores_of(of, one, other, pair)
                told = [_as_confirmed(of, c) for c in (one, other)]
                facts += differences(told[0], told[1])
    asked = [{} if document is None else _asked(document) for document in documents]
    return Diff("sweeps", a, b, differences(*asked) if all(documents) else [], facts, scores, notes)


def _as_confirmed(of: str, configuration: Configuration) -> Row:
    """The settings of a configuration as the runs that confirm it had them, else its own; of a control, what it reads.

    Args:
        of: "winner" or "control", with which each name begins.
        configuration: the one.
    """
    row = configuration.seeds[0] if configuration.seeds else configuration.head
    settings = {
        name: value
        for name, value in settings_of_row(row).items()
        if of == "winner" or row["control"] not in (None, PLAIN) or name.startswith("finetune_")
    }
    return {f"{of} {name}": value for name, value in {"trial": configuration.head["trial"], **settings}.items()}


def _document(storage: str, sweep: str) -> SweepDocument | None:
    with suppress(BadInputError):
        return read_sweep_document(storage, sweep)
    return None


def _dataset(rows: Sequence[Row], document: SweepDocument | None) -> str | None:
    if rows:
        return str(rows[0]["dataset"])
    return None if document is None else document.request.dataset


def _unlike(documents: Sequence[SweepDocument | None], datasets: tuple[str | None, str | None]) -> list[str]:
    """Why scores of the two are not paired; nothing where they may be."""
    a, b = datasets
    if a != b:
        return [f"on other datasets, {a} and {b}: their scores have nothing to do with each other"]
    known = [document.fingerprint for document in documents if document is not None]
    if len(known) == 2 and None not in known and known[0] != known[1]:
        return ["on other images, or another split of them: seeds are not paired"]
    return []


def _asked(document: SweepDocument) -> dict[str, Any]:
    """What a sweep was asked for, flat: settings with what is searched of them, the protocol, the data."""
    request = document.request.model_dump(mode="json", include={*_OF_SWEEP})
    space = document.request.space
    settings: dict[str, Any] = dict(space.settings({}))
    searched = {**space.parameters, **space.finetune_parameters}
    settings.update({name: _searched(parameter) for name, parameter in searched.items()})
    flat = {
        **settings,
        "known_good": [dict(point) for point in space.known_good],
        "warm": [each.sweep for each in document.request.warm],
    }
    for name, value in {**request, "protocol": space.protocol.model_dump(mode="json")}.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": each for inner, each in value.items()})
        else:
            flat[name] = value
    return flat


def _searched(parameter: Parameter) -> str:
    return f"searched, {parameter.span}{', log' if getattr(parameter, 'log', False) else ''}"
