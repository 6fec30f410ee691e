"""A sweep as its records have it: what has run, what is left, how it ended, and with which settings."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.parameters import Point, SettingValue
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.config.settings import Settings
from bissl_ray.controls import CONTROLS
from bissl_ray.search.cost import work_of
from bissl_ray.search.forecast import SEARCH, Climb, Forecast
from bissl_ray.search.lost import Lost, find_lost
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import Proposer, RunKind
from bissl_ray.search.population import Heirs, Population, rungs_of
from bissl_ray.search.promotion import Rungs
from bissl_ray.search.records import Record, records_from_store
from bissl_ray.store import to_rows
from bissl_ray.store.reader import Damaged, read_with_damage
from bissl_ray.words import Kind, Phase, Status, Step

if TYPE_CHECKING:  # Optuna takes a second to import, and who only looks does without
    from bissl_ray.search.proposals import Proposals

_UPPER_BUDGET: Final = ("alternations", "upper_steps", "upper_batch")


class Replayed(NamedTuple):
    """A sweep as it is rebuilt from the store: its planner, Optuna's study, and what of it is lost."""

    planner: Planner
    proposals: "Proposals"
    lost: Lost


def replay(request: SweepRequest, storage: str, heirs: Heirs | None = None) -> Replayed:
    """Build the planner and Optuna's study by replaying what the store has of a sweep.

    Args:
        request: of the sweep.
        storage: where it is, absolute.
        heirs: the files that successors in a population begin from; None: the planner is only looked at.

    Raises:
        OSError: the storage refuses.
    """
    from bissl_ray.search.proposals import Proposals, finetune_points

    trials, damaged = read_with_damage(storage, "trials", request.dataset, request.name, surely=True)
    reports, also = read_with_damage(storage, "reports", request.dataset, request.name, surely=True)
    known = _restored(request, to_rows(trials), to_rows(reports), [*damaged, *also], heirs)
    explored = [record for record in known.records if record.step == Step.SEARCH]
    proposals = Proposals(request.space, explored, request.warm)
    return Replayed(known.planner(proposals, partial(finetune_points, request.space)), proposals, known.lost)


def look(request: SweepRequest, trials: Sequence[Mapping[str, Any]], reports: Sequence[Mapping[str, Any]]) -> Planner:
    """The planner of a sweep, to be asked how the sweep stands and what is left; nothing is to be run by it.

    Args:
        request: of the sweep.
        trials: rows of its trials, the newest of each.
        reports: its reports; where its trials pause at no rung (`population.rungs_of`), they may be left out.
    """
    return _restored(request, trials, reports).planner(_NobodyAsks(), _no_points)


def _no_points(count: int) -> list[Point]:
    return [{}] * count


class _NobodyAsks:
    """In the place of proposals, where nothing is to be run."""

    def ask(self, trial: str) -> tuple[Point, str]:
        raise AssertionError(f"{trial} was to be proposed by who only looks")


class _Restored(NamedTuple):
    """What the rows of a sweep tell its planner."""

    request: SweepRequest
    records: list[Record]
    lost: Lost
    rungs: Rungs | Population | None

    def planner(self, proposer: Proposer, points: Callable[[int], list[Point]]) -> Planner:
        """The planner, with who proposes explore points and what gives those of fine-tuning."""
        control = self.request.control
        only = None if control is None else Kind.BISSL if CONTROLS[control].aligns else Kind.CONTROL
        protocol, taken = self.request.space.protocol, self.lost.rowless
        return Planner(protocol, proposer, points, self.records, only, self.rungs, taken)


def _restored(
    request: SweepRequest,
    rows: Sequence[Mapping[str, Any]],
    told: Sequence[Mapping[str, Any]],
    damaged: Iterable[Damaged] = (),
    heirs: Heirs | None = None,
) -> _Restored:
    lost = find_lost(rows, told, [*damaged])
    records = records_from_store(rows, told)
    rungs = rungs_of(request.space, heirs)
    if rungs is None:
        lost = dataclasses.replace(lost, anew={})
    lost.let_begin_anew(records)
    return _Restored(request, records, lost, rungs)


def planner_to_look_at(request: SweepRequest, records: Sequence[Record]) -> Planner:
    """The planner of a sweep that another process runs, without Optuna's study: it says how that stands.

    Exploring that ended before its last trial, by a budget say, ends in it too: confirmation has begun, and the trial
    that was begun last is none of exploring.

    Args:
        request: of the sweep.
        records: all its trials, in the order in which they were proposed.
    """
    restored = _Restored(request, list(records), Lost(), rungs_of(request.space, None))
    planner = restored.planner(_NobodyAsks(), _no_points)
    tuned = planner.ledger.of(Phase.CONFIRM, Step.TUNING)
    if tuned and records[-1].step != Step.SEARCH:
        planner.end_exploring("it has ended before")
    return planner


def runs_again(replayed: Replayed, has_saved: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """What a sweep that goes on runs again for what is lost.

    Args:
        replayed: the sweep.
        has_saved: whether a trial can go on from where it was, by its name.

    Returns:
        Trials that run again from the beginning, and lost ones that others take the places of.
    """
    planner, _, lost = replayed
    under_way = (name for name, record in planner.ledger.open.items() if record.curve or record.objective is not None)
    ended = [name for name in under_way if not has_saved(name)] if lost.damaged else []
    again = {*lost.anew, *ended, *([] if planner.finished else lost.followed)}
    explored, asked = planner.explored
    return sorted(again), lost.explored if planner.exploring and explored < asked else []


def planner_of(request: SweepRequest, storage: str, heirs: Heirs | None = None) -> tuple[Planner, "Proposals"]:
    """As `replay`, where nobody asks what is lost."""
    planner, proposals, _ = replay(request, storage, heirs)
    return planner, proposals


def is_finished(planner: Planner) -> bool:
    """Whether all of a sweep has run, and no look at the test split has failed: resuming it looks again."""
    return planner.finished and not _untested(planner)


@dataclass(frozen=True)
class SweepOutcome:
    """How a call of `run_sweep` or `resume_sweep` ended.

    Attributes:
        name: the sweep's name, for `resume_sweep` and `load_trials`.
        storage: where its results are.
        finished: whether everything that was asked for has run; False after an interruption.
        completed: how many trials ran to their end, in all.
        problem: what a person must see to, in one line; None if all is well.
    """

    name: str
    storage: str
    finished: bool
    completed: int
    problem: str | None = None


def outcome_of(
    name: str, storage: str, planner: Planner, stopped: bool = False, problem: str | None = None
) -> SweepOutcome:
    """How a sweep ended that ran until now, or had ended before.

    Args:
        name: of the sweep.
        storage: where it is, absolute.
        planner: knows its runs.
        stopped: whether it was told to stop.
        problem: why it asked to stop by itself; None if a person did, or nobody.
    """
    if problem is None and (untested := _untested(planner)):
        problem = f"the test split could not be scored for {', '.join(untested)}: resume the sweep to try again"
    completed = sum(record.status == Status.COMPLETE for record in planner.records.values())
    return SweepOutcome(name, storage, planner.finished and not stopped, completed, problem)


def _untested(planner: Planner) -> list[str]:
    """Trials whose look at the test split failed."""
    looks = ((record.trial, record.test_metric) for record in planner.records.values())
    return [trial for trial, metric in looks if metric is not None and math.isnan(metric)]


def control_settings(space: SearchSpace, point: Mapping[str, SettingValue]) -> Settings:
    """The settings of the control at a point of its own search.

    Where BiSSL's labelled budget is searched, the control gets the largest that there may be.
    """
    return space.settings(point).model_copy(update={name: space.largest(name) for name in _UPPER_BUDGET})


def work_of_sweep(request: SweepRequest, sizes: Mapping[str, int]) -> Callable[[RunKind, int | None], float]:
    """What tells the gradients of a run of each kind, in the middle of what is searched.

    Args:
        request: of the sweep.
        sizes: images by split.

    Returns:
        Of a kind of run, and of how many alternations an explore trial has (None: as the settings say), its gradients
        as `cost.work_of` counts them.
    """
    space = request.space
    middle = space.middle()

    @cache
    def work(kind: RunKind, alternations: int | None = None) -> float:
        settings = control_settings(space, middle) if kind[0] == Phase.CONTROL else space.settings(middle)
        if alternations is not None and kind == SEARCH:
            settings = settings.model_copy(update={"alternations": alternations})
        return work_of(kind, settings, sizes, request.workers_per_trial)

    return work


def forecast_of(document: SweepDocument, planner: Planner) -> Forecast:
    """What is known of a sweep's time: the work of its runs, and what those took that have ended."""
    request = document.request
    work = work_of_sweep(request, document.data)
    forecast = Forecast(request.space.largest("alternations"), lambda kind: work(kind, None))
    for record in planner.records.values():
        if record.status in (Status.COMPLETE, Status.PRUNED) and record.seconds is not None:
            # When its first report came is not known any more: as if all had taken alike.
            reports = len(record.curve)
            climb = Climb(reports, record.seconds / max(reports, 1), record.seconds)
            forecast.learn((record.phase, record.step), record.seconds, climb)
    forecast.begin_session()
    return forecast
