"""A driver in a simulated world: a sweep's own parts, with a model of the loop that Tune has around them."""

from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.utils.util import flatten_dict

from bissl_ray.config.documents import SweepDocument
from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.progress import Quiet
from bissl_ray.search.history import is_finished, planner_of
from bissl_ray.store.documents import read_sweep_document, write_document
from bissl_ray.store.lock import Held, locked
from bissl_ray.store.paths import sweep_documents
from bissl_ray.store.schema import report_key
from bissl_ray.sweep.parts import Parts, parts_of
from bissl_ray.sweep.room import Room
from bissl_ray.words import Step
from bissl_ray.workers.group import ALIVE, OVER
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.shape import GroupShape
from tests.simulation.clockwork import SimProcess, SimWorld
from tests.simulation.groups import Actor

_GATHERS_S = 1.0
"""So long rows may have waited for company before the first try."""
SHAPE = GroupShape(workers=1, cpus_per_worker=1, use_gpu=False, run_dir="")


class SimTrial(SimpleNamespace):
    """What Tune's callbacks and schedulers are told of a trial."""

    def get_error(self) -> Exception:
        return RuntimeError("the actor died")

    def __hash__(self) -> int:
        return hash(self.trial_id)


class Driver:
    """A process that runs or resumes the sweep once.

    Attributes:
        ended: how: "finished", "interrupted", "refused", or what went wrong; None: it runs, or was killed.
        holds: whether it is between having taken the sweep and having given it back.
        heard: called with trial and result when a report has been taken and the trial goes on.
        on_disk: reports that it has written, by trial and key.
    """

    def __init__(
        self, around: SimWorld, machine: Any, document: SweepDocument, storage: str, slots: int, name: str
    ) -> None:
        self.around, self.document, self.storage, self.slots = around, document, storage, slots
        self.interrupt = Interrupt()
        self.ended: str | None = None
        self.holds = False
        self.parts: Parts | None = None
        self.on_disk: set[tuple[str, tuple[Any, ...]]] = set()
        self.actors: list[Actor] = []
        self.on_enter: Callable[[Driver], None] = lambda driver: None
        self.heard: Callable[[Any, dict[str, Any]], None] = lambda order, result: None
        self.process: SimProcess = around.spawn(machine, name, self._main)

    @property
    def has_not_written_since(self) -> float | None:
        """Since when the storage had refused its rows when it ended, as it said all the while; None: it had not.

        A driver that is killed then takes with it what was told to it alone, where trials could not save that either.
        """
        if self.parts is None or not (self.process.dead or self.ended):
            return None
        since = self.parts.recorder.rows._writer._failing_since
        return None if since is None else since - _GATHERS_S

    def _main(self) -> None:
        request = self.document.request
        try:
            # As `preflight.session` and `sweep.run` do it, without the cluster.
            document = self.document
            with locked(self.storage, sweep_documents(request.name), "the sweep", self.interrupt.ask) as lock:
                self.holds = True
                self.on_enter(self)
                try:
                    write_document(self.storage, request.name, document)
                    document = read_sweep_document(self.storage, request.name)
                    with parts_of(
                        document, self.storage, Room(self.slots), Quiet(), self.interrupt, None, lock.files
                    ) as parts:
                        self.parts = parts
                        self._note_what_is_written(parts)
                        self._loop(parts)
                    self._compare(parts, lock)
                finally:
                    self.holds = False
            finished = is_finished(parts.planner) and not self.interrupt()
            self.ended = "finished" if finished else "interrupted"
        except BadInputError as error:
            self.ended = f"refused: {error}"
        except (RunFailedError, OSError) as error:
            self.ended = f"{type(error).__name__}: {error}"
        finally:
            if not self.process.dead:
                for actor in self.actors:
                    actor.process.kill()

    def _note_what_is_written(self, parts: Parts) -> None:
        writer = parts.recorder.rows._writer
        write = writer._write

        def noted(kind: Any, rows: list[dict[str, Any]]) -> None:
            write(kind, rows)
            if kind == "reports":
                self.on_disk |= {(row["trial"], report_key(row)) for row in rows}

        writer._write = noted  # type: ignore[method-assign]

    def _compare(self, parts: Parts, lock: Held) -> None:
        """The sweep that is rebuilt from the store is the one that lived.

        Raises:
            RunFailedError: it is another's by now, which has gone on with it.
        """
        rebuilt, _ = planner_of(self.document.request, self.storage)
        lived = {name: _known(record) for name, record in parts.planner.records.items()}
        found = {name: _known(record) for name, record in rebuilt.records.items()}
        for leaving in parts.planner._leaving:  # who makes room has ended in the store when who takes over has begun
            for name in (leaving.loser.trial, leaving.heir.trial):
                lived.pop(name)
                found.pop(name, None)
        if lived != found:
            lock.check()
            unlike = [name for name in {*lived, *found} if lived.get(name) != found.get(name)]
            first = unlike[0]
            raise AssertionError(f"rebuilt, {first} is {found.get(first)}; it was {lived.get(first)}")

    # Tune's part

    def _loop(self, parts: Parts) -> None:
        around, running, idle = self.around, dict[SimTrial, Actor](), list[Actor]()
        controller = SimpleNamespace(
            _actor_cache=SimpleNamespace(increase_max=lambda *_: None), _trials=[], _live_trials=set()
        )
        iteration, searching = 0, True
        while True:
            parts.recorder.on_step_begin(iteration, list(running))
            if searching and len(running) < self.slots:
                identifier = f"tune-{around.token()[:8]}"
                config = parts.searcher.suggest(identifier)
                if isinstance(config, str):
                    searching = False
                elif config is not None:
                    config["shape"], config["line"] = asdict(SHAPE), None
                    trial = SimTrial(trial_id=identifier, config=config, last_result={}, placement_group_factory=None)
                    parts.scheduler.on_trial_add(controller, trial)
                    idle = [actor for actor in idle if not actor.is_lost]
                    actor = idle.pop() if idle else self._new_actor()
                    trial.temporary_state = SimpleNamespace(ray_actor=actor)
                    actor.ask("begin", config)
                    running[trial] = actor
                    parts.recorder.on_trial_start(iteration, [], trial)
            around.wait(lambda: any(actor.answers or actor.is_lost for actor in running.values()), 5.0)
            news = [trial for trial, actor in running.items() if actor.answers or actor.is_lost]
            if news:
                trial = around.random.choice(news)
                if self._event(parts, iteration, trial, running[trial]):
                    actor = running.pop(trial)
                    if not actor.is_lost:
                        idle.append(actor)
            if parts.stop():
                for trial in running:
                    parts.recorder.on_trial_complete(iteration, [], trial)
                return
            iteration += 1
            parts.recorder.on_step_end(iteration, [])
            if not searching and not running:
                return

    def _new_actor(self) -> Actor:
        actor = Actor(self.process)
        self.actors.append(actor)
        return actor

    def _event(self, parts: Parts, iteration: int, trial: SimTrial, actor: Actor) -> bool:
        """Deal with what a trial says, as `TuneController` does; whether it is over."""
        if not actor.answers:
            parts.scheduler.on_trial_error(None, trial)
            parts.searcher.on_trial_complete(trial.trial_id, error=True)
            parts.recorder.on_trial_error(iteration, [], trial)
            return True
        result = actor.answers.pop(0)
        running = parts.searcher.flight.running.get(trial.trial_id)
        decision = TrialScheduler.STOP
        if not result.get("done"):
            decision = parts.scheduler.on_trial_result(None, trial, flatten_dict(result))
        if decision == TrialScheduler.STOP:
            result["done"] = True
        parts.recorder.on_trial_result(iteration, [], trial, result)
        trial.last_result = result
        if OVER not in result and ALIVE not in result and running is not None:
            self.heard(running.order, result)
        if decision == TrialScheduler.STOP:
            parts.scheduler.on_trial_complete(None, trial, flatten_dict(result))
            parts.searcher.on_trial_complete(trial.trial_id, result=result)
            parts.recorder.on_trial_complete(iteration, [], trial)
            return True
        actor.ask("go on")
        return False


def _known(record: Any) -> tuple[Any, ...]:
    """What of a record the store keeps."""
    curve = tuple(sorted(record.curve.items())) if record.step == Step.SEARCH else ()
    return record.phase, record.step, record.status, record.objective, record.seed, curve
