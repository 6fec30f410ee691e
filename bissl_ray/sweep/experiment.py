"""One Ray Tune experiment: the planner's trials on worker groups, until all is done or someone stops it."""

import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.progress_reporter import TrialProgressCallback

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.protocol import Budget
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.controls import PLAIN
from bissl_ray.data import get_dataset
from bissl_ray.progress import Decoding, Note, View
from bissl_ray.search.forecast import Climb, Forecast
from bissl_ray.search.history import control_settings, planner_of, work_of_sweep
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import Plan
from bissl_ray.store import SweepWriter
from bissl_ray.store.fence import Files
from bissl_ray.store.paths import trial_folder
from bissl_ray.sweep.recorder import Recorder
from bissl_ray.sweep.scheduler import ExploreASHA
from bissl_ray.sweep.searcher import InFlight, PlannedSearcher
from bissl_ray.sweep.silence import Silence
from bissl_ray.training.files import HandedOver, SavedProgress
from bissl_ray.training.order import Order, of_method
from bissl_ray.words import Phase, Status, Step
from bissl_ray.workers import ray_log
from bissl_ray.workers.group import TrialRunner
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.message_line import MessageLine
from bissl_ray.workers.place import OnCluster
from bissl_ray.workers.shape import GroupShape

_LISTEN_S: Final = 0.5
_TUNE_ACTOR: Final = {"CPU": 0, "memory": 2**28}
"""What the Tune actor of a group of several workers takes: its workers take the CPUs. (Tune refuses {"CPU": 0}
alone, and any CPU here would be missing to the last worker of a group that fills the machine.)"""


def run_experiment(
    document: SweepDocument,
    storage: str,
    place: OnCluster,
    view: View,
    stopped: Interrupt,
    budget: Budget | None,
    files: Files | None = None,
    runner: type[TrialRunner] = TrialRunner,
) -> Planner:
    """Run what the planner says until it is finished or `stopped()`.

    Args:
        document: what was asked for, and the pretrained models that trials start from.
        storage: storage URI or absolute path.
        place: where worker groups run.
        view: shows progress.
        stopped: whether to stop; asked several times a second, and asked to when no trial could succeed.
        budget: limit on exploring.
        files: writes the files of rows, for as long as the sweep is held; None: nobody holds it.
        runner: what Tune has run the trials.

    Returns:
        The planner with all records.
    """
    request = document.request
    planner, proposals = planner_of(request, storage, HandedOver(storage, request.name))
    with SweepWriter(storage, request.dataset, request.name, parameter_types(), files) as writer:
        flight = InFlight(planner, proposals, writer, place.slots, partial(_progress_of, storage, request.name))
        silence = Silence(request.space.protocol)
        recorder = Recorder(flight, forecast_of(document, planner), silence, view, stopped.ask)
        explored = [record for record in planner.records.values() if record.step == Step.SEARCH]
        # Data that come with the program are in memory: nothing is decoded, and there is nothing to say of it.
        embedded = all(get_dataset(name).embedded for name in (request.dataset, request.data.pretext))
        listener = None if embedded else _Listener(view, recorder)
        # Not tune.Tuner: it pickles searcher, callbacks and stopper to restore them, and ours hold live things.
        with _no_snapshot_needed(), _ends_in_words(stopped):
            tune.run(
                runner,
                name="tune",
                storage_path=place.shape.run_dir,
                config={"shape": asdict(place.shape), "line": None if listener is None else listener.name},
                resources_per_trial=group_resources(place.shape),
                num_samples=-1,
                search_alg=PlannedSearcher(flight, partial(order_of, document=document, storage=storage), stopped),
                scheduler=ExploreASHA(
                    request.space.protocol, request.space.largest("alternations"), place.slots, explored
                ),
                reuse_actors=True,
                callbacks=[recorder, _SilentTrials(), *([] if listener is None else [listener])],
                stop=_Stopper(planner, stopped, budget, place.gpus),
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
                max_failures=0,
                raise_on_failed_trial=False,
                verbose=0,
                progress_reporter=_Silent(),
            )
        if listener is not None:
            listener.close()
        recorder.draw()
    return planner


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
    return forecast


def order_of(plan: Plan, document: SweepDocument, storage: str) -> Order:
    """What a worker group is to do for a plan of the sweep; the storage is absolute."""
    record, request = plan.record, document.request
    is_control = record.phase == Phase.CONTROL
    settings = control_settings(request.space, record.point) if is_control else request.space.settings(record.point)
    start = str(document.start)
    control = request.control or (PLAIN if is_control else None)
    if plan.step == Step.TEST:
        start = f"{trial_folder(request.name, record.trial)}/finetuned.pt"
    elif plan.start is not None:
        start = f"{trial_folder(request.name, plan.start)}/aligned.pt"
    return Order(
        trial=record.trial,
        data=request.data,
        storage=storage,
        sweep=request.name,
        settings=settings,
        seed=record.seed,
        stages=of_method(plan.stages, settings),
        control=control,
        start=start,
        fresh=control == "scratch" and plan.step != Step.TEST,
        # The control gets the same budget, counted in labelled images; or in gradients, by a setting of its own.
        with_upper_budget=is_control and control != "gradients",
        keep_models=record.step != Step.TUNING,
        inherits=record.began_at > 0,
        until=plan.until,
    )


def _progress_of(storage: str, sweep: str, trial: str) -> SavedProgress:
    return SavedProgress(storage, trial_folder(sweep, trial))


def group_resources(shape: GroupShape) -> tune.PlacementGroupFactory:
    """What Tune reserves for one worker group."""
    # One worker runs inside the Tune actor; several have a placement group of their own, made by Ray Train.
    bundle = shape.worker_resources if shape.workers == 1 else _TUNE_ACTOR
    return tune.PlacementGroupFactory([bundle])


def _trial_name(trial: tune.experiment.Trial) -> str:
    return str(trial.config["trial"])


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


class _Stopper(tune.Stopper):  # type: ignore[misc]
    """Asked by Tune in every round: stops the experiment on request, and exploring when the budget is spent."""

    def __init__(self, planner: Planner, stopped: Callable[[], bool], budget: Budget | None, gpus: float):
        self._planner = planner
        self._stopped = stopped
        self._budget = budget
        self._gpus = gpus
        self._begin = time.monotonic()

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:
        return False

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune pickles its stopper into a snapshot that nobody reads.
        return tune.stopper.NoopStopper, ()

    def stop_all(self) -> bool:
        if self._budget is not None and self._budget.spent(time.monotonic() - self._begin, self._gpus):
            self._planner.end_exploring("the budget is spent")
        return self._stopped()


class _Listener(tune.Callback):  # type: ignore[misc]
    """Takes what trials say beside their reports, as often as Tune steps: notes, and how far decoding is."""

    def __init__(self, view: View, recorder: Recorder) -> None:
        self.name = f"events-{uuid.uuid4().hex[:12]}"
        self._line = MessageLine(self.name)
        self._view = view
        self._recorder = recorder
        self._said: set[str] = set()
        self._next = 0.0

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LISTEN_S
        doing = self._recorder.doing
        with suppress(RayError):
            for event in self._line.take():
                if isinstance(event, Decoding):
                    doing = None if event.done == event.total else event.words
                elif isinstance(event, Note) and event.line not in self._said:  # however many groups say it
                    self._said.add(event.line)
                    self._view.show(event)
        if doing != self._recorder.doing:
            self._recorder.doing = doing
            self._recorder.show()

    def close(self) -> None:
        self._line.close()
        self._recorder.doing = None


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
