"""All things of a storage, a row each: what `bissl-ray list` shows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

import pyarrow as pa

from bissl_ray.catalog.standing import State, comparison_state, stage_state, sweep_standing
from bissl_ray.catalog.stock import Kind, Ref, Stock
from bissl_ray.config.documents import ComparisonDocument, Document, StageDocument, SweepDocument
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.configurations import Configuration, best_bissl, best_control, gather
from bissl_ray.leaderboard.in_columns import READ, in_columns
from bissl_ray.leaderboard.verdict import judge
from bissl_ray.search.history import look
from bissl_ray.statistics import Estimate
from bissl_ray.store import to_rows
from bissl_ray.store.reader import read_sweeps
from bissl_ray.store.schema import Row
from bissl_ray.winner import place
from bissl_ray.words import Kind as Side

_LOOKED_AT: Final = (*READ, "alternations", "started_at", "updated_at")
"""What of a trial says how its sweep stands, and what that has come to."""


@dataclass(frozen=True)
class Score:
    """What a thing has come to.

    Attributes:
        objective: larger is better; None: nothing yet.
        name: what the objective is called.
        split: it is of.
        explored: whether it is of a single run before fine-tuning.
        gain: over the control, on that split, over shared seeds.
    """

    objective: float | None = None
    name: str | None = None
    split: Literal["test", "validation"] | None = None
    explored: bool = False
    gain: Estimate | None = None


@dataclass(frozen=True)
class Thing:
    """A sweep, a stage that ran by itself, or a comparison.

    Attributes:
        kind: which of them.
        name: of it.
        dataset: that it is on; of a comparison all, with commas between.
        state: how it stands.
        done: trials that have ended; None of a stage.
        asked: trials that there will have been at its end, as far as is known.
        score: the best that it has come to; of a comparison with several cases none.
        created_at: when it was asked for; None: not known.
        bytes: of its files; of a comparison, those of its sweeps as well.
        of: comparisons that it is a case of.
        problem: why not all of it is known, in words.
    """

    kind: Kind
    name: str
    dataset: str | None
    state: State
    done: int | None = None
    asked: int | None = None
    score: Score = field(default_factory=Score)
    created_at: datetime | None = None
    bytes: int = 0
    of: tuple[str, ...] = ()
    problem: str | None = None


def read_things(stock: Stock) -> list[Thing]:
    """Look at all of a storage: sweeps, then stages, then comparisons, by name (raises OSError: it refuses)."""
    held = stock.held(stock.refs)
    cases_of: defaultdict[str, list[str]] = defaultdict(list)
    for document in stock.comparisons():
        for case in document.comparison.cases:
            cases_of[case.sweep].append(document.comparison.name)

    def of_sweep(rows: pa.Table) -> Thing:
        ref = Ref(Kind.SWEEP, rows["sweep"][0].as_py())
        of, best = tuple(cases_of[ref.name]), in_columns(rows).with_best()
        return read_thing(stock, ref, ref in held, to_rows(rows), of, configurations=best)

    # One sweep's rows at a time, and of them what the following looks at: a storage may hold millions.
    looked = {thing.name: thing for thing in read_sweeps(stock.storage, _LOOKED_AT, of_sweep)}
    things: list[Thing] = []
    for ref in stock.refs:
        if ref.kind == Kind.SWEEP and ref.name in looked:
            things.append(looked[ref.name])
            continue
        of = tuple(cases_of[ref.name]) if ref.kind == Kind.SWEEP else ()
        things.append(read_thing(stock, ref, ref in held, (), of, things))
    return things


def read_thing(
    stock: Stock,
    ref: Ref,
    held: bool,
    rows: Sequence[Row],
    of: tuple[str, ...] = (),
    others: Sequence[Thing] = (),
    configurations: list[Configuration] | None = None,
) -> Thing:
    """Look at one thing.

    Args:
        stock: of the storage.
        ref: which.
        held: whether a process works on it.
        rows: of a sweep's trials, at least the columns of `_LOOKED_AT`.
        of: comparisons that a sweep is a case of.
        others: the sweeps, of a comparison, that have been looked at.
        configurations: of a sweep, at least all that its score can be of; None: they are gathered of the rows.
    """
    size = sum(stock.files(ref).values())
    dataset = ", ".join(sorted({row["dataset"] for row in rows})) or None
    lost = Thing(ref.kind, ref.name, dataset, State.UNREADABLE, bytes=size, of=of)
    if ref.kind == Kind.SWEEP and rows:
        lost = replace(lost, score=score_of(gather(rows) if configurations is None else configurations))
    if stock.half_removed(ref):
        return replace(lost, state=State.HALF_REMOVED)
    try:
        document = stock.document(ref)
    except BadInputError as error:
        return replace(lost, problem=str(error))
    if document is None:
        return replace(lost, problem="its document is not there")
    known = replace(lost, created_at=created(document))
    if isinstance(document, StageDocument):
        result = document.result
        score = Score(result.get("objective"), result.get("objective_name"), document.request.split)
        return replace(known, dataset=document.request.dataset, state=stage_state(document, held), score=score)
    if isinstance(document, SweepDocument):
        found = sweep_standing(stock.storage, document, rows, held)
        known = replace(known, dataset=document.request.dataset, state=found.state)
        return replace(known, done=found.done, asked=found.asked)
    assert isinstance(document, ComparisonDocument)
    return _of_cases(known, document, {each.name: each for each in others if each.kind == Kind.SWEEP})


def _of_cases(thing: Thing, document: ComparisonDocument, sweeps: Mapping[str, Thing]) -> Thing:
    cases = document.comparison.cases
    known = [sweeps.get(case.sweep) for case in cases]
    asked = [
        each.asked if each is not None and each.asked is not None else look(case.request, [], []).expected
        for case, each in zip(cases, known, strict=True)
    ]
    mains = [each for case, each in zip(cases, known, strict=True) if case.request.control is None and each]
    return replace(
        thing,
        dataset=", ".join(dict.fromkeys(case.dataset for case in cases)) or None,
        state=comparison_state([None if each is None else each.state for each in known]),
        done=sum(each.done or 0 for each in known if each is not None),
        asked=sum(asked),
        score=mains[0].score if len(mains) == 1 else Score(),
        bytes=thing.bytes + sum(each.bytes for each in known if each is not None),
    )


def created(document: Document) -> datetime | None:
    """When something was asked for; None where its document doesn't say."""
    try:
        found = datetime.fromisoformat(document.created_at or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.astimezone()


def score_of(configurations: list[Configuration]) -> Score:
    """What the best configuration of a sweep has come to; of one that runs a control alone, that control's."""
    sweep = configurations[0].sweep
    verdict, best = judge(configurations, sweep), best_bissl(configurations, sweep)
    if best is None:
        ours = [c for c in configurations if c.kind == Side.BISSL and c.explored is not None]
        best = min(ours, key=lambda c: place(c.contender), default=best_control(configurations, sweep))
    if best is None:
        return Score()
    name = best.objective_name
    if verdict.decided_on == "test" and verdict.winner_test is not None:
        return Score(verdict.winner_test.mean, name, "test", gain=verdict.test_gain)
    if best.confirmed is not None:
        return Score(best.confirmed.mean, name, "validation", gain=verdict.gain if verdict.winner else None)
    return Score(best.explored, name, "validation", explored=True)
