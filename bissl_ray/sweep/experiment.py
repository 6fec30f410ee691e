"""One Ray Tune experiment: the planners' trials on worker groups, until all is done or someone stops it."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.protocol import Budget
from bissl_ray.config.requests import SweepRequest
from bissl_ray.data import get_dataset
from bissl_ray.progress import View
from bissl_ray.search.planner import Planner
from bissl_ray.store.fence import Files
from bissl_ray.sweep.callbacks import Listener, Neighbourly, Silent, SilentTrials
from bissl_ray.sweep.parts import Parts, parts_of
from bissl_ray.sweep.room import Room, RoomNow
from bissl_ray.sweep.searcher import SWEEP
from bissl_ray.sweep.together import EachByItsOwn, InTurn, Named, Rest, Turns, WhenAnyAsks
from bissl_ray.workers import ray_log
from bissl_ray.workers.group import TrialRunner
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.nodes import this_node
from bissl_ray.workers.place import OnCluster
from bissl_ray.workers.shape import GroupShape

_TUNE_ACTOR: Final = {"CPU": 0, "memory": 3 * 2**28}
"""What the Tune actor of a group of several workers takes: its workers take the CPUs (any CPU here would be missing to
the last worker of a group that fills the machine); and the memory of its process, of Train's controller, which has
imported torch as well, and of the mailbox (docs/scale.md)."""


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
        listener = None if embedded else Listener(view, [parts.recorder.picture for parts in every])
        # Not tune.Tuner: it pickles searcher, callbacks and stopper to restore them, and ours hold live things.
        with _no_snapshot_needed(), _ends_in_words(stopped):
            tune.run(
                runner,
                name="tune",
                storage_path=place.shape.run_dir,
                config={"shape": asdict(place.shape), "line": None if listener is None else listener.name},
                resources_per_trial=group_resources(place.shape),
                num_samples=-1,
                search_alg=InTurn([parts.searcher for parts in every], room),
                scheduler=EachByItsOwn(
                    {name: parts.scheduler for name, parts in zip(turns.flights, every, strict=True)},
                    idle=lambda: room.slots() - turns.running,
                ),
                reuse_actors=True,
                callbacks=[
                    *(parts.recorder for parts in every),
                    SilentTrials(),
                    Neighbourly(room, view),
                    *([] if listener is None else [listener]),
                ],
                stop=WhenAnyAsks(parts.stop for parts in every),
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
                max_failures=0,
                raise_on_failed_trial=False,
                verbose=0,
                progress_reporter=Silent(),
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
