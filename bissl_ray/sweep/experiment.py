"""One Ray Tune experiment: the planner's trials on worker groups, until all is done or someone stops it."""

import time
from collections.abc import Callable
from dataclasses import asdict

from ray import tune

from bissl_ray.config.protocol import Budget
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.settings import Settings
from bissl_ray.data import DataChoice
from bissl_ray.search.history import control_settings, planner_of
from bissl_ray.search.planner import TEST_STAGES, Plan, Planner
from bissl_ray.store import SweepWriter
from bissl_ray.store.provenance import git_state, versions
from bissl_ray.sweep.news_callback import NewsCallback
from bissl_ray.sweep.outcome import View
from bissl_ray.sweep.recorder import Recorder
from bissl_ray.sweep.scheduler import ExploreASHA
from bissl_ray.sweep.searcher import PlannedSearcher
from bissl_ray.training.files import Progress
from bissl_ray.training.order import Order, trial_folder
from bissl_ray.workers.cluster import Cluster
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.train_run import GroupShape
from bissl_ray.workers.trainable import TrialRunner

_TUNE_ACTOR = {"CPU": 0, "memory": 2**28}
"""What the Tune actor of a group of several workers takes: its workers take the CPUs. (Tune refuses {"CPU": 0}
alone, and any CPU here would be missing to the last worker of a group that fills the machine.)"""


def run_experiment(
    request: SweepRequest,
    storage: str,
    start: str,
    cluster: Cluster,
    view: View,
    stopped: Interrupt,
    budget: Budget | None,
) -> Planner:
    """Run what the planner says until it is finished or `stopped()`.

    Args:
        request: what was asked for.
        storage: storage URI or absolute path.
        start: the pretrained models' file, relative to the storage.
        cluster: connected.
        view: shows progress.
        stopped: whether to stop; asked several times a second, and asked to when no trial could succeed.
        budget: limit on exploring.

    Returns:
        The planner with all records.
    """
    shape = cluster.shape(request.workers_per_trial, f"{storage}/sweeps/{request.name}/ray")
    slots = cluster.slots(shape)
    planner, proposals = planner_of(request, storage)
    settings = request.space.settings
    searcher = PlannedSearcher(planner, lambda plan: _order(plan, request, storage, start), slots, stopped)
    with SweepWriter(storage, request.dataset, request.name, parameter_types()) as writer:
        recorder = Recorder(
            planner,
            proposals,
            searcher.plans,
            writer,
            view,
            lambda record: settings(record.point),
            lambda record: Progress(storage, trial_folder(request.name, record.trial)).clear(),
            stopped.ask,
            {"git": git_state(), "versions": versions(), "workers": request.workers_per_trial},
            slots,
        )
        stopper = _Stopper(planner, stopped, budget, slots * shape.workers if shape.use_gpu else 0)
        explored = [record for record in planner.records.values() if record.step == "search"]
        alternations = request.space.largest("alternations")
        # Data that come with the program are in memory: nothing is decoded, and there is nothing to say of it.
        data = DataChoice.of(request)
        news = None if data.spec.embedded and data.pretext_spec.embedded else NewsCallback(view.note, recorder)
        # Not tune.Tuner: it pickles searcher, callbacks and stopper to restore them, and ours hold live things.
        tune.run(
            TrialRunner,
            name="tune",
            storage_path=shape.run_dir,
            config={"shape": shape.to_mapping(), "news": None if news is None else news.name},
            resources_per_trial=group_resources(shape),
            num_samples=-1,
            search_alg=searcher,
            scheduler=ExploreASHA(request.space.protocol, alternations, slots, explored),
            reuse_actors=True,
            callbacks=[recorder] if news is None else [recorder, news],
            stop=stopper,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
            max_failures=0,
            raise_on_failed_trial=False,
            verbose=0,
            progress_reporter=_Silent(),
        )
        if news is not None:
            news.close()
            recorder.doing = None
        recorder.show()
    return planner


def parameter_types() -> dict[str, type]:
    """Column types of all settings, by name."""
    return {name: _column_type(field.annotation) for name, field in Settings.model_fields.items()}


def _column_type(annotation: object) -> type:
    return next((kind for kind in (float, int, bool) if annotation in (kind, kind | None)), str)


def _order(plan: Plan, request: SweepRequest, storage: str, start: str) -> Order:
    record = plan.record
    settings = request.space.settings(record.point)
    if record.phase == "control":
        settings = control_settings(request.space, record.point)
    if plan.stages == TEST_STAGES:
        start = f"{trial_folder(request.name, record.trial)}/finetuned.pt"
    elif plan.start is not None:
        start = f"{trial_folder(request.name, plan.start)}/aligned.pt"
    return Order(
        trial=record.trial,
        **asdict(DataChoice.of(request)),
        storage=storage,
        sweep=request.name,
        settings=settings.model_dump(),
        seed=record.seed,
        stages=plan.stages,
        start=start,
        # DESIGN section 2: the control gets the same budget, here counted in labelled images.
        with_upper_budget=record.phase == "control",
        keep_models=record.step != "tuning",
    )


def group_resources(shape: GroupShape) -> tune.PlacementGroupFactory:
    """What Tune reserves for one worker group."""
    # One worker runs inside the Tune actor; several have a placement group of their own, made by Ray Train.
    bundle = shape.worker_resources if shape.workers == 1 else _TUNE_ACTOR
    return tune.PlacementGroupFactory([bundle])


def _trial_name(trial: tune.experiment.Trial) -> str:
    return str(trial.config["trial"])


class _Stopper(tune.Stopper):  # type: ignore[misc]
    """Asked by Tune in every round: stops the experiment on request, and exploring when the budget is spent."""

    def __init__(self, planner: Planner, stopped: Callable[[], bool], budget: Budget | None, gpus: int):
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
            self._planner.exploring = False
        return self._stopped()


class _Silent(tune.ProgressReporter):  # type: ignore[misc]
    """Tune's own reporter, silenced: the live view is ours."""

    def should_report(self, trials: list[object], done: bool = False) -> bool:
        return False

    def report(self, trials: list[object], done: bool, *sys_info: dict[str, object]) -> None:
        return
