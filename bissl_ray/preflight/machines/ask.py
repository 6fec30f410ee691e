"""Ask every machine that a job may run on the same thing, at the same time."""

import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pyarrow import ArrowException

from bissl_ray.errors import BadInputError
from bissl_ray.store.filesystem import reason
from bissl_ray.workers import environment

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
PATIENCE_S: Final = 60.0
"""For an answer: a machine under load takes seconds to start a process that imports torch."""


@dataclass(frozen=True)
class Answer(Generic[T_co]):
    """What one machine said.

    Attributes:
        machine: its name.
        value: what it said.
        failure: in words, where it said nothing.
        asked_at: before it was asked, by this process's clock; seconds since the epoch.
        answered_at: once it had answered.
    """

    machine: str
    value: T_co | None = None
    failure: str | None = None
    asked_at: float = 0.0
    answered_at: float = 0.0


class ThisMachine:
    """The machine of this process, asked in it; no cluster is needed."""

    def __init__(self, name: str = "this machine") -> None:
        """Name it."""
        self.names = (name,)

    def ask(
        self, function: Callable[..., T], *given: Any, patience: float = PATIENCE_S, as_code: bool = False
    ) -> list[Answer[T]]:
        """As `Machines.ask`."""
        del patience, as_code
        begin = time.time()
        try:
            return [Answer(self.names[0], function(*given), None, begin, time.time())]
        except (BadInputError, OSError, ArrowException) as error:
            return [Answer(self.names[0], failure=_in_words(error))]

    def only(self, gpus: bool) -> "ThisMachine":
        """As `Machines.only`."""
        del gpus
        return self

    def of(self, names: Collection[str]) -> "ThisMachine":
        """As `Machines.of`."""
        del names
        return self


class Machines:
    """Those of a connected cluster that may be used, as they are when this is made."""

    def __init__(self, machines: Sequence[Any] | None = None) -> None:
        """Look at them.

        Args:
            machines: those that are meant, as `nodes.machines_now` gives them; None: all.
        """
        # Imports Ray, whose environment had to be set before.
        from bissl_ray.workers.nodes import machines_now

        self.each = tuple(machines_now() if machines is None else machines)
        self.names = tuple(machine.name for machine in self.each)

    @property
    def gpus(self) -> dict[str, int]:
        """How many GPUs Ray counts, by name of the machine."""
        return {machine.name: machine.node.gpus for machine in self.each}

    def only(self, gpus: bool) -> "Machines":
        """Those that a worker may be put on.

        Args:
            gpus: whether workers have GPUs; else they need a CPU.
        """
        return Machines([each for each in self.each if (each.node.gpus if gpus else each.node.cpus)])

    def of(self, names: Collection[str]) -> "Machines":
        """Those of some names."""
        return Machines([each for each in self.each if each.name in names])

    def ask(
        self, function: Callable[..., T], *given: Any, patience: float = PATIENCE_S, as_code: bool = False
    ) -> list[Answer[T]]:
        """Call a function on each; what they have no CPU or GPU left for is asked all the same.

        Args:
            function: of a module that they can import.
            given: its arguments, the same for all.
            patience: seconds; who has not answered then has failed.
            as_code: send its module along, for those that may lack this package.
        """
        import ray

        from bissl_ray.workers.nodes import on_machine

        task = ray.remote(function)
        asked_at = time.time()
        with environment.as_code(sys.modules[function.__module__]) if as_code else nullcontext():
            asked = {task.options(**on_machine(each)).remote(*given): each.name for each in self.each}
        answers: dict[str, Answer[T]] = {}
        waiting, deadline = list(asked), time.monotonic() + patience
        while waiting and (left := deadline - time.monotonic()) > 0:
            done, waiting = ray.wait(waiting, timeout=left)
            for each in done:
                answers[asked[each]] = _answer(asked[each], each, asked_at)
        for each in waiting:
            ray.cancel(each, force=True)
            answers[asked[each]] = Answer(asked[each], failure=f"no answer within {patience:.0f} s")
        return [answers[name] for name in self.names]


Asked = ThisMachine | Machines


def _answer(machine: str, reference: Any, asked_at: float) -> Answer[Any]:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return Answer(machine, ray.get(reference), None, asked_at, time.time())
    except RayTaskError as error:
        return Answer(machine, failure=_in_words(error.cause))
    except RayError as error:
        return Answer(machine, failure=f"it could not answer ({_in_words(error)})")


def _in_words(error: BaseException) -> str:
    if isinstance(error, BadInputError):
        return str(error)
    if isinstance(error, (OSError, ArrowException)):
        return reason(error)
    # The last line of what Ray wraps around a function that could not be imported is what went wrong.
    lines = [line.strip() for line in str(error).splitlines() if "Error" in line]
    return (lines[-1] if lines else f"{type(error).__name__}: {' '.join(str(error).split())}")[:300].rstrip(". ")
