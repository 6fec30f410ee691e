"""One thing of a storage in full: how it stands, what is left, who holds it, what it has found, what to type next."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bissl_ray.catalog.remaining import at_a_time, seconds_left
from bissl_ray.catalog.standing import State, sweep_standing
from bissl_ray.catalog.stock import Held, Kind, Ref, Stock
from bissl_ray.catalog.things import Thing, read_thing
from bissl_ray.config.documents import ComparisonDocument, StageDocument, SweepDocument
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.verdict import verdicts
from bissl_ray.search.plans import RunKind
from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.schema import Row
from bissl_ray.words import Phase, Status, Step
from bissl_ray.world import world

_RUNS: Final[dict[RunKind, str]] = {
    (Phase.EXPLORE, Step.SEARCH): "explore trial",
    (Phase.CONTROL, Step.TUNING): "fine-tuning run of the control",
    (Phase.CONFIRM, Step.TUNING): "fine-tuning run of the finalists",
    (Phase.CONTROL, Step.SEEDS): "confirmation run of the control",
    (Phase.CONFIRM, Step.SEEDS): "confirmation run",
    (Phase.CONTROL, Step.TEST): "look of the control at the test split",
    (Phase.CONFIRM, Step.TEST): "look at the test split",
}
_FOLLOWING: Final = {"pretrain": "train", "train": "finetune", "finetune": "evaluate"}


@dataclass(frozen=True)
class Overview:
    """A thing in full.

    Attributes:
        thing: as `bissl-ray list` has it.
        held: who works on it; None: nobody.
        left: what is left to run, by kind, in words.
        cut_off: trials that were cut off in the middle, or run at this moment.
        trials: how many have ended, by how.
        seconds_left: until all has run; None: not known, or nothing is left.
        at_a_time: trials at a time that this is said of.
        verdict: what it has found, a sentence; of a comparison one for each sweep.
        notes: beside that: what to widen, where exploring ended, why not all is known.
        next: the command to type next; None: there is none.
    """

    thing: Thing
    held: Held | None = None
    left: Mapping[str, int] = field(default_factory=dict)
    cut_off: Sequence[str] = ()
    trials: Mapping[str, int] = field(default_factory=dict)
    seconds_left: float | None = None
    at_a_time: int | None = None
    verdict: Sequence[str] = ()
    notes: Sequence[str] = ()
    next: str | None = None


def read_status(stock: Stock, name: str, storage: str = "") -> Overview:
    """Look at one thing.

    Args:
        stock: of the storage.
        name: as of `Stock.named`.
        storage: the flag that commands to type next end with; "": none.

    Raises:
        BadInputError: there is no such thing, or several.
        OSError: the storage refuses.
    """
    ref = stock.named(name)
    if ref.kind == Kind.COMPARISON:
        return _comparison(stock, ref, storage)
    held = stock.held([ref]).get(ref)
    rows = to_rows(read_trials(stock.storage, sweep=ref.name)) if ref.kind == Kind.SWEEP else []
    of = tuple(
        document.comparison.name
        for document in stock.comparisons()
        if ref.kind == Kind.SWEEP and ref.name in {case.sweep for case in document.comparison.cases}
    )
    thing = read_thing(stock, ref, held is not None, rows, of)
    if thing.state in (State.HALF_REMOVED, State.UNREADABLE):
        then = f"bissl-ray rm {ref.name}" if thing.state == State.HALF_REMOVED else "bissl-ray doctor --only files"
        verdict = [each.in_words for each in verdicts(rows)]
        notes = [] if thing.problem is None else [thing.problem]
        return Overview(thing, held, verdict=verdict, notes=notes, next=f"{then}{storage}")
    document = stock.document(ref)
    if isinstance(document, StageDocument):
        return _stage(thing, held, document, storage)
    assert isinstance(document, SweepDocument)
    return _sweep(stock, thing, held, document, rows, storage)


def _sweep(
    stock: Stock, thing: Thing, held: Held | None, document: SweepDocument, rows: Sequence[Row], storage: str
) -> Overview:
    request = document.request
    reports = to_rows(read_reports(stock.storage, request.dataset, request.name))
    standing = sweep_standing(stock.storage, document, rows, held is not None, reports)
    ledger, finished = standing.planner.ledger, standing.state == State.FINISHED
    slots = len(ledger.open) if held is not None and ledger.open else at_a_time(rows)
    found = verdicts(rows, stock.storage)
    return Overview(
        thing,
        held,
        left={_counted(number, _RUNS[kind]): number for kind, number in sorted(standing.to_come.items(), key=_order)},
        cut_off=[*ledger.open],
        trials={str(how): number for how, number in _ended(ledger.ended, ledger.paused).items() if number},
        seconds_left=None if finished else seconds_left(document, standing, rows, reports, slots, world().now()),
        at_a_time=None if finished else slots,
        verdict=[each.in_words for each in found],
        notes=[note for each in found for note in each.notes],
        next=_next_of_sweep(thing, found[0].outcome if found else None, storage),
    )


def _order(each: tuple[RunKind, int]) -> int:
    return [*_RUNS].index(each[0])


def _ended(ended: Mapping[Status, int], paused: Mapping[str, object]) -> dict[Status, int]:
    return {**{how: ended.get(how, 0) for how in Status}, Status.PAUSED: len(paused)}


def _next_of_sweep(thing: Thing, outcome: str | None, storage: str) -> str:
    name = shlex.quote(thing.name)
    if thing.state == State.RUNNING:
        return f"bissl-ray leaderboard --sweep {name} --watch{storage}"
    if thing.state != State.FINISHED:
        going_on = f"compare --name {shlex.quote(thing.of[0])}" if thing.of else f"resume {name}"
        return f"bissl-ray {going_on}{storage}"
    return f"bissl-ray {'export' if outcome == 'wins' else 'leaderboard'} --sweep {name}{storage}"


def _stage(thing: Thing, held: Held | None, document: StageDocument, storage: str) -> Overview:
    request, notes = document.request, [] if document.reason is None else [document.reason]
    then = None
    if thing.state in (State.INTERRUPTED, State.FAILED):
        then = document.command
    elif thing.state == State.FINISHED and request.stage in _FOLLOWING:
        file = document.result.get("checkpoint")
        if file is not None:
            place = "./runs" if not storage else shlex.split(storage)[-1]
            start = shlex.quote(f"{place.rstrip('/').removeprefix('./')}/{file}")
            dataset = f" --dataset {request.dataset}" if request.stage != "finetune" else ""
            then = f"bissl-ray {_FOLLOWING[request.stage]} --start {start}{dataset}{storage}"
    return Overview(thing, held, notes=notes, next=then)


def _comparison(stock: Stock, ref: Ref, storage: str) -> Overview:
    try:
        document = stock.document(ref)
    except BadInputError as error:
        lost = Thing(ref.kind, ref.name, None, State.UNREADABLE, bytes=sum(stock.files(ref).values()))
        return Overview(lost, notes=[str(error)], next=f"bissl-ray doctor --only files{storage}")
    assert isinstance(document, ComparisonDocument)
    refs = [Ref(Kind.SWEEP, case.sweep) for case in document.comparison.cases]
    begun = [each for each in refs if stock.files(each)]
    held = stock.held(begun)
    rows = {each: to_rows(read_trials(stock.storage, sweep=each.name)) for each in begun}
    sweeps = [read_thing(stock, each, each in held, rows[each], (ref.name,)) for each in begun]
    thing = read_thing(stock, ref, False, [], others=sweeps)
    left = [f"{each.name}: {each.state}" for each in sweeps if each.state != State.FINISHED]
    left += [f"{each.name}: not begun" for each in refs if each not in begun]
    found = [f"{each.name}: {verdict.in_words}" for each in begun for verdict in verdicts(rows[each])]
    return Overview(
        thing,
        next(iter(held.values()), None),
        left=dict.fromkeys(left, 1),
        verdict=found,
        notes=[f"{each.name}: {each.problem}" for each in sweeps if each.problem],
        next=f"bissl-ray compare --name {shlex.quote(ref.name)}{storage}",
    )


def _counted(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    head, of, rest = noun.partition(" of ")
    if noun.startswith("look"):
        return f"{number} looks{noun.removeprefix('look')}"
    return f"{number} {head}s{of}{rest}"


def when(moment: datetime) -> str:
    """A time as a person reads it: to the minute, in the zone of this machine."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
