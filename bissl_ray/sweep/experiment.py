"""One Ray Tune experiment: the planners' trials on worker groups, until all is done or someone stops it."""

import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.progress_reporter import TrialProgressCallback

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.protocol import Budget
from bissl_ray.config.requests import SweepRequest
from bissl_ray.data import get_dataset
from bissl_ray.progress import Decoding, Note, View
from bissl_ray.search.planner import Planner
from bissl_ray.store.fence import Files
from bissl_ray.sweep.parts import Parts, parts_of
from bissl_ray.sweep.picture import Picture
from bissl_ray.sweep.room import Room, RoomNow
from bissl_ray.sweep.searcher import SWEEP
from bissl_ray.sweep.together import EachByItsOwn, InTurn, Named, Rest, Turns, WhenAnyAsks
from bissl_ray.workers import ray_log
from bissl_ray.workers.group import TrialRunner
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.message_line import MessageLine
from bissl_ray.workers.nodes import this_node
from bissl_ray.workers.place import OnCluster
from bissl_ray.workers.shape import GroupShape

_LISTEN_S: Final = 0.5
_TUNE_ACTOR: Final = {"CPU": 0, "memory": 2**28}
"""What the Tune actor of a group of several workers takes: its workers take the CPUs. (Tune refuses {"CPU": 0}
alone, and any CPU here would be missing to the last worker of a group that fills the machine.)"""


@dataclass(frozen=True)
class Searched:
    """A sweep of the experiment.

    Attributes:
        document: what was asked for, and the pretrained models that trials start from.
        budget: limit on exploring.
        files: writes the files of rows, for as long as the sweep is held; None: nobody holds it.
    """

    document: SweepDocument
    budget: Budget | None = None
    files: Files | None = None


class Ran(NamedTuple):
    """A sweep that has run, to its end or not.

    Attributes:
        planner: with all records.
        has_unwritten: whether the storage has refused rows to the last, and lacks them.
    """

    planner: Planner
    has_unwritten: bool


def run_experiment(
    sweeps: Sequence[Searched],
    storage: str,
    place: OnCluster,
    view: View,
    stopped: Interrupt,
    runner: type[TrialRunner] = TrialRunner,
) -> list[Ran]:
    """Run what the planners say until they are finished or `stopped()`.

    Args:
        sweeps: one, or several that share the groups; the first of them come first.
        storage: storage URI or absolute path.
        place: where worker groups run.
        view: shows progress.
        stopped: whether to stop; asked several times a second, and asked to when no trial could succeed.
        runner: what Tune has run the trials.

    Returns:
        What became of each.
    """
    with RoomNow(place).looked_up() as room, ExitStack() as stack:
        turns = Turns(len(sweeps))
        every = [_rebuilt(sweep, storage, room, view, stopped, turns, stack) for sweep in sweeps]
        # Data that come with the program are in memory: nothing is decoded, and there is nothing to say of it.
        embedded = all(_is_embedded(sweep.document.request) for sweep in sweeps)
        listener = None if embedded else _Listener(view, [parts.recorder.picture for parts in every])
        # Not tune.Tuner: it pickles searcher, callbacks and stopper to restore them, and ours hold live things.
        with _no_snapshot_needed(), _ends_in_words(stopped):
            tune.run(
                runner,
                name="tune",
                storage_path=place.shape.run_dir,
                config={"shape": asdict(place.shape), "line": None if listener is None else listener.name},
                resources_per_trial=group_resources(place.shape),
                num_samples=-1,
                search_alg=InTurn([parts.searcher for parts in every]),
                scheduler=EachByItsOwn(
                    {name: parts.scheduler for name, parts in zip(turns.flights, every, strict=True)}
                ),
                reuse_actors=True,
                callbacks=[
                    *(parts.recorder for parts in every),
                    _SilentTrials(),
                    *([] if listener is None else [listener]),
                ],
                stop=WhenAnyAsks(parts.stop for parts in every),
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
                max_failures=0,
                raise_on_failed_trial=False,
                verbose=0,
                progress_reporter=_Silent(),
            )
        if listener is not None:
            with suppress(RayError):
                listener.close()
        for parts in every:
            parts.recorder.until_written(stopped)
            parts.recorder.picture.draw()
    return [Ran(parts.planner, parts.recorder.rows.wait) for parts in every]


def _rebuilt(
    sweep: Searched, storage: str, room: Room, view: View, stopped: Interrupt, turns: Turns, stack: ExitStack
) -> Parts:
    name = sweep.document.request.name
    mine = room if turns.is_one else Rest(room, turns, name)
    parts = stack.enter_context(
        parts_of(sweep.document, storage, mine, Named(view, turns, name), stopped, sweep.budget, sweep.files)
    )
    turns.flights[name] = parts.searcher.flight
    return parts


def _is_embedded(request: SweepRequest) -> bool:
    return all(get_dataset(name).embedded for name in (request.dataset, request.data.pretext))


def group_resources(shape: GroupShape) -> tune.PlacementGroupFactory:
    """What Tune reserves for one worker group; connected to Ray.

    One worker runs inside the Tune actor. Several have a placement group of their own, made by Ray Train, and the actor
    that owns them, with their mailbox and Train's controller, lives on this process's node as long as that has memory
    for it: a machine that is lost then takes workers alone with it.
    """
    if shape.workers == 1:
        return tune.PlacementGroupFactory([shape.worker_resources])
    return tune.PlacementGroupFactory([_TUNE_ACTOR], strategy="STRICT_PACK", _soft_target_node_id=this_node())


def _trial_name(trial: tune.experiment.Trial) -> str:
    return f"{trial.config[SWEEP]}-{trial.config['trial']}"


@contextmanager
def _no_snapshot_needed() -> Iterator[None]:
    """Let Tune end without the snapshot of its state that it reads in the end, and nobody else ever.

    It is copied into the storage in the background; where that fails, as on a full disk, Tune says so in a log and then
    finds none. What ran is in Parquet.
    """
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("No experiment snapshot file"):
            raise


@contextmanager
def _ends_in_words(stopped: Interrupt) -> Iterator[None]:
    """Take what breaks Ray or Tune for a reason to stop: what was reported is saved, and the sweep can be resumed."""
    try:
        yield
    except KeyboardInterrupt:
        if stopped.reason is None:  # a person's
            raise
    except (RayError, TuneError) as error:
        ray_log.write(traceback.format_exc())
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        stopped.ask(f"Ray failed ({last[:200]}){ray_log.pointer()}")


class _Listener(tune.Callback):  # type: ignore[misc]
    """Takes what trials say beside their reports, as often as Tune steps: notes, and how far decoding is."""

    def __init__(self, view: View, pictures: Sequence[Picture]) -> None:
        self.name = f"events-{uuid.uuid4().hex[:12]}"
        self._line = MessageLine(self.name)
        self._view = view
        self._pictures = pictures
        self._doing: str | None = None
        self._said: set[str] = set()
        self._next = 0.0

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LISTEN_S
        doing = self._doing
        with suppress(RayError):
            for event in self._line.take():
                if isinstance(event, Decoding):
                    doing = None if event.done == event.total else event.words
                elif isinstance(event, Note) and event.line not in self._said:  # however many groups say it
                    self._said.add(event.line)
                    self._view.show(event)
        if doing != self._doing:
            self._doing = doing
            for picture in self._pictures:
                picture.doing = doing
                picture.show()

    def close(self) -> None:
        self._line.close()
        for picture in self._pictures:
            picture.doing = None


class _SilentTrials(TrialProgressCallback):  # type: ignore[misc]
    """Tune's own lines on each trial, silenced: given no such callback it adds one, which keeps every trial."""

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        return

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        return

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        return


class _Silent(tune.ProgressReporter):  # type: ignore[misc]
    """Tune's own reporter, silenced: the live view is ours."""

    def should_report(self, trials: list[object], done: bool = False) -> bool:
        return False

    def report(self, trials: list[object], done: bool, *sys_info: dict[str, object]) -> None:
        return
