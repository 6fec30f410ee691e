"""What a sweep's experiment is made of: its rows, what is next, who hears of it, who stops it; Tune drives it."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.protocol import Budget
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.progress import Note, Spent, View, Wishes, wishes_of
from bissl_ray.search.history import control_settings, forecast_of, replay
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import Plan
from bissl_ray.search.proposals import Proposals
from bissl_ray.store import DamagedFileWarning, SweepWriter
from bissl_ray.store.fence import Files
from bissl_ray.store.paths import trial_folder
from bissl_ray.sweep.lost import take_up
from bissl_ray.sweep.recorder import Recorder
from bissl_ray.sweep.room import Room
from bissl_ray.sweep.scheduler import ExploreASHA
from bissl_ray.sweep.searcher import InFlight, PlannedSearcher
from bissl_ray.sweep.silence import Silence
from bissl_ray.training.files import HandedOver, SavedProgress
from bissl_ray.training.order import Order
from bissl_ray.training.planned import planned
from bissl_ray.words import Phase, Step
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.world import world


@dataclass(frozen=True)
class Parts:
    """An experiment's parts, for Tune, or for a simulation of it.

    Attributes:
        planner: what is next; with all records.
        proposals: Optuna's study.
        searcher: hands out what is next.
        scheduler: stops explore trials that are behind.
        recorder: hears of everything.
        stop: looks at the budget, and says whether to stop; asked in every round.
    """

    planner: Planner
    proposals: Proposals
    searcher: PlannedSearcher
    scheduler: ExploreASHA
    recorder: Recorder
    stop: Callable[[], bool]


@contextmanager
def parts_of(
    document: SweepDocument,
    storage: str,
    room: Room,
    view: View,
    stopped: Interrupt,
    budget: Budget | None,
    files: Files | None,
) -> Iterator[Parts]:
    """Rebuild a sweep from what the store has of it, and write down what becomes of it for the duration of the block.

    Args:
        document: what was asked for, and the pretrained models that trials start from.
        storage: storage URI or absolute path.
        room: for how many trials at a time there is room, and what they take.
        view: shows progress.
        stopped: whether to stop; asked to when no trial could succeed.
        budget: limit on exploring.
        files: writes the files of rows, for as long as the sweep is held; None: nobody holds it.
    """
    request = document.request
    replayed = replay(request, storage, HandedOver(storage, request.name))
    planner, proposals, _ = replayed
    for line in take_up(replayed, storage, request.name):
        view.show(Note(line))
    with _writer(document, storage, files) as writer:
        flight = InFlight(planner, proposals, writer, room, partial(_progress_of, storage, request.name))
        explored = [record for record in planner.records.values() if record.step == Step.SEARCH]
        wishes = wishes_of(view)
        limit = None if budget is None else _Limit(planner, stopped, budget, room, lambda: _idles(flight, wishes))
        recorder = Recorder(flight, forecast_of(document, planner), Silence(request.space.protocol), view, stopped.ask)
        recorder.picture.budget = None if limit is None else limit.spent
        yield Parts(
            planner=planner,
            proposals=proposals,
            searcher=PlannedSearcher(flight, partial(order_of, document=document, storage=storage), stopped, wishes),
            scheduler=ExploreASHA(request.space.protocol, request.space.largest("alternations"), explored),
            recorder=recorder,
            stop=limit or stopped,
        )


def _writer(document: SweepDocument, storage: str, files: Files | None) -> SweepWriter:
    request = document.request
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)  # of which something has been said
        return SweepWriter(storage, request.dataset, request.name, parameter_types(), files)


def order_of(plan: Plan, document: SweepDocument, storage: str) -> Order:
    """What a worker group is to do for a plan of the sweep; the storage is absolute."""
    record, space = plan.record, document.request.space
    is_control = record.phase == Phase.CONTROL
    settings = control_settings(space, record.point) if is_control else space.settings(record.point)
    return planned(plan, settings, document, storage)


def _progress_of(storage: str, sweep: str, trial: str) -> SavedProgress:
    return SavedProgress(storage, trial_folder(sweep, trial))


def _idles(flight: InFlight, wishes: Wishes) -> bool:
    return wishes.hold and not flight.running


class _Limit:
    """Stops exploring when the budget is spent; asked in every round of Tune.

    Time counts by the share of the groups that the sweep had of it, and GPUs as they were at the time; time at which
    nothing runs, as a person has asked, does not.
    """

    def __init__(
        self,
        planner: Planner,
        stopped: Callable[[], bool],
        budget: Budget,
        room: Room,
        idles: Callable[[], bool] = lambda: False,
    ):
        self._planner, self._stopped, self._budget, self._room = planner, stopped, budget, room
        self._idles = idles
        self._asked = world().monotonic()
        self._wall = self._of_gpus = 0.0

    def __call__(self) -> bool:
        now = world().monotonic()
        seconds = 0.0 if self._idles() else (now - self._asked) * self._room.share()
        self._asked = now
        self._wall += seconds
        self._of_gpus += seconds * self._room.gpus()
        if self._budget.spent(self._wall, self._of_gpus):
            self._planner.end_exploring("the budget is spent")
        return self._stopped()

    def spent(self) -> Spent:
        """How much of it is used."""
        used = self._of_gpus if self._budget.of == "gpu" else self._wall
        return Spent(used, self._budget.seconds, self._budget.of)
