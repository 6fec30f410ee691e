"""A worker group in a simulated world: the real mailbox, loop and saved progress; only the training is a formula."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from zlib import crc32

from bissl_ray.progress import Alive, Sender, TrialPausedError
from bissl_ray.store.patience import patiently
from bissl_ray.training.account import Account
from bissl_ray.training.files import SavedProgress, inherited_file, read_tensors, write_tensors
from bissl_ray.training.order import Order
from bissl_ray.training.worker import Worker, alone
from bissl_ray.workers.group import TrialRunner, WorkerGroup
from bissl_ray.workers.loop import _run_one, _Speaker
from bissl_ray.world import world
from tests.simulation.clockwork import SimProcess, SimWorld

T = TypeVar("T")

METRIC = "validation_top1"
STEPS = 3
"""Reports of fine-tuning."""


def value(order: Order, at: int) -> float:
    """What a run has come to after so many reports: of its settings, its seed and nothing else."""
    whole = f"{order.settings.lower_lr!r} {order.settings.finetune_lr!r} {order.seed} {order.control} {at}"
    return 0.2 + 0.6 * crc32(whole.encode()) / 2**32 + 0.01 * at


def tuned(order: Order) -> str:
    """Which fine-tuned model a run ends with."""
    settings = order.settings
    return f"{settings.lower_lr!r} {settings.finetune_lr!r} {order.seed}"


def run_order(order: Order, worker: Worker, sender: Sender) -> dict[str, Any]:
    """Stages one after another, each a pause and a report at a time, saving where it is as `training.trial` does."""
    around = world()
    assert isinstance(around, SimWorld)
    account, progress = Account(worker, sender, METRIC), SavedProgress(order.storage, order.folder)

    def patient(do: Callable[[], T]) -> T:
        return patiently(do, lambda why: sender.send(Alive(why)), "what is asked of it")

    def read(path: str) -> dict[str, Any] | None:
        return patient(partial(read_tensors, order.storage, path))

    if order.stages == ("test",):
        model = read(order.start)
        assert model is not None and model["of"] == tuned(order), "the test looks at another run's model"
        return {**account.so_far, "test_metric": value(order, 100)}
    stage, done = order.stages[0], 0
    saved = patient(progress.load)
    if saved is not None and saved["stage"] in order.stages and saved["identity"] == order.identity:
        account.go_on(saved["totals"], saved["seconds"], saved["told"])
        stage, done = saved["stage"], saved["state"]
    elif order.inherits:
        handed = read(inherited_file(order.folder))
        assert handed is not None
        stage, done = handed["stage"], handed["state"]

    if stage == order.stages[0] == "finetune":
        model = read(order.start)
        assert model is not None and model["of"] == repr(order.settings.lower_lr), "it starts from another's model"

    def save(stage: str, state: int, surely: bool = False) -> None:
        if not surely and not (progress.due and around.random.random() < 0.7):
            return
        where = {"stage": stage, "state": state, "identity": order.identity, "told": account.told}
        keep = partial(progress.save, {**where, "seconds": account.seconds, "totals": account.totals})
        if surely:
            patient(keep)
            return
        with suppress(OSError):
            keep()

    pace = around.random.choice([0.05, 0.5, 5.0])
    for name in order.stages[order.stages.index(stage) :]:
        length = {"bissl": order.settings.alternations, "finetune": STEPS}.get(name, 1)
        for at in range(done + 1, length + 1):
            around.sleep(around.random.uniform(0, 2) * pace)
            if name == "head":
                continue
            result = value(order, at if name == "bissl" else 50 + at)
            account.totals["objective"] = result
            row: dict[str, Any] = {"stage": name, "objective": result}
            if name == "bissl":
                account.totals["alternations"] = at
                row["alternation"] = at
            else:
                row |= {"epoch": 1, "finetune_step": at}  # several in an epoch
            account.report(row)
            if at < length:
                pause = name == "bissl" and at == order.until
                save(name, at, surely=pause)
                if pause:
                    raise TrialPausedError
        done = 0
        if name == "bissl":
            aligned = {"of": repr(order.settings.lower_lr)}
            patient(partial(write_tensors, order.storage, f"{order.folder}/aligned.pt", aligned))
        if name == "finetune" and order.keep_models:
            patient(partial(write_tensors, order.storage, f"{order.folder}/finetuned.pt", {"of": tuned(order)}))
        following = order.stages[order.stages.index(name) + 1 :]
        if following:
            save(following[0], 0)
    return {**account.so_far, **account.again}


class SimGroup(WorkerGroup):
    """A group whose workers are a process of the simulated world, restarted as Ray Train restarts it."""

    def _fit(self) -> None:
        around = world()
        assert isinstance(around, SimWorld)
        actor = around.here
        for _ in range(20):
            workers = around.spawn(actor.machine, f"{actor.name}'s workers", partial(self._loop, around))
            actor.heirs.append(workers)
            around.wait(lambda workers=workers: workers.dead or workers.threads[0].over)  # type: ignore[misc]
            if not workers.dead:
                return
            around.sleep(around.random.uniform(0, 10))

    def _loop(self, around: SimWorld) -> None:
        me = alone()
        call = partial(_from_afar, around, self._call)
        while True:
            taken = call("next_order", 5.0)
            if taken is None:
                continue
            if taken.order is None:
                return
            _run_one(run_order, _Speaker(call, me, taken.tag, None), me, taken.order)


def _from_afar(around: SimWorld, call: Any, method: str, *arguments: Any) -> Any:
    """A call that takes its time both ways, and that Ray may deliver twice."""
    delay = around.random.choice([0.0, 0.0, 0.01, 1.0])
    around.sleep(delay)
    answer = call(method, *arguments)
    if method in ("report", "end") and around.random.random() < around.twice:
        around.sleep(delay)
        answer = call(method, *arguments)
    around.sleep(delay)
    return answer


class SimRunner(TrialRunner):
    """The trainable of a simulated group, without the folder that Tune would give it."""

    group = SimGroup

    def __init__(self) -> None:
        return


class Actor:
    """A Tune actor: a process that runs a trainable, one call at a time."""

    def __init__(self, driver: SimProcess) -> None:
        around = driver.world
        self.asked: list[tuple[str, Any]] = []
        self.answers: list[Any] = []
        self.process = around.spawn(driver.machine, f"an actor of {driver.name}", self._main)
        driver.heirs.append(self.process)
        self.runner = SimRunner()
        self._is_set_up = False

    def ask(self, what: str, argument: Any = None) -> None:
        self.asked.append((what, argument))

    @property
    def is_lost(self) -> bool:
        return self.process.dead

    def _main(self) -> None:
        around = self.process.world
        while True:
            around.wait(lambda: bool(self.asked))
            what, config = self.asked.pop(0)
            around.sleep(around.random.choice([0.0, 0.0, 0.1]))
            if what == "end":
                if self._is_set_up:
                    self.runner.cleanup()
                return
            if what == "begin":
                if self._is_set_up:
                    self.runner.reset_config(config)
                else:
                    self.runner.setup(config)
                    self._is_set_up = True
            answer = self.runner.step()
            around.sleep(around.random.choice([0.0, 0.0, 0.1]))
            self.answers.append(answer)
