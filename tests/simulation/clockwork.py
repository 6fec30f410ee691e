"""A world whose every moment follows from a seed: one clock, processes on several machines, one of them at a time.

Everything that runs is a greenlet of a process. It gives way whenever it asks the world for something (a file, a lock,
a pause), and the seed chooses who goes on; when all wait, the clock jumps to who wakes up first. A process can be
killed between any two such moments, or stopped and woken later; of one that is killed nothing reaches the world any
more.
"""

import heapq
import random
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import greenlet

from bissl_ray.world import Process, World


class Killed(BaseException):
    """Raised in a process that has been killed, wherever it asks the world for something."""


class StuckError(AssertionError):
    """Nothing runs and nobody will wake up."""


class Machine:
    """A computer, with a clock of its own."""

    def __init__(self, name: str, ahead: float) -> None:
        self.name, self.ahead = name, ahead


class SimProcess:
    """A process: its threads, and whether it lives."""

    _numbers = count(100)

    def __init__(self, world: "SimWorld", machine: Machine, name: str) -> None:
        self.world, self.machine, self.name = world, machine, name
        self.pid = next(self._numbers)
        self.dead = False
        self.stopped_until = 0.0
        self.threads: list[Thread] = []
        self.heirs: list[SimProcess] = []
        """Processes that end some time after this one."""

    def kill(self) -> None:
        """End at once (SIGKILL)."""
        if self.dead:
            return
        self.dead = True
        self.world.note(f"{self.name} is killed")
        for heir in self.heirs:
            self.world.later(self.world.random.choice([0.0, 1.0, 20.0]), heir.kill)

    def stop(self, seconds: float) -> None:
        """Stand still for so long (SIGSTOP, SIGCONT)."""
        self.stopped_until = self.world.time + seconds
        self.world.note(f"{self.name} is stopped for {seconds:.0f} s")


class Thread:
    """A greenlet of a process; what `World.start` gives."""

    def __init__(self, process: SimProcess, run: Callable[[], None], name: str) -> None:
        self.process, self.name = process, name
        self.over = False
        self.error: BaseException | None = None
        self._run = run
        self.greenlet = greenlet.greenlet(self._main, process.world.hub)
        self.greenlet.thread = self  # type: ignore[attr-defined]
        process.threads.append(self)

    def _main(self) -> None:
        try:
            self._run()
        except Killed:
            pass
        except BaseException as error:
            self.error = error
            self.process.world.broken(self, error)
        finally:
            self.over = True

    def join(self, timeout: float | None = None) -> None:
        self.process.world.wait(lambda: self.over or self.process.dead, timeout)

    def is_alive(self) -> bool:
        return not self.over and not self.process.dead


class SimWorld(World):
    """The world of one schedule."""

    def __init__(self, seed: int, most_moments: int = 400_000) -> None:
        self.random = random.Random(seed)
        self.time = 0.0
        self.hub = greenlet.getcurrent()
        self.log: list[str] = []
        self.errors: list[str] = []
        self.disks: dict[str, Any] = {}
        self._ready: list[Thread] = []
        self._timers: list[tuple[float, int, Any]] = []
        self._waiting: list[tuple[Thread, Callable[[], bool], float]] = []
        self._tie = count()
        self._moments, self._most_moments = 0, most_moments
        self.after_moment: Callable[[], None] = lambda: None

    # The simulation's side

    def note(self, line: str) -> None:
        self.log.append(f"{self.time:9.2f} {line}")

    def broken(self, thread: Thread, error: BaseException) -> None:
        """A thread has ended by an error that nobody caught."""
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        self.errors.append(f"{thread.name}: {type(error).__name__}: {error} ({where})")

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something that is no process's."""
        heapq.heappush(self._timers, (self.time + seconds, next(self._tie), do))

    def spawn(self, machine: Machine, name: str, run: Callable[[], None]) -> SimProcess:
        process = SimProcess(self, machine, name)
        self._ready.append(Thread(process, run, name))
        return process

    def run(self, until: Callable[[], bool]) -> None:
        """Let it run until something is so."""
        while not until():
            self._moments += 1
            if self._moments > self._most_moments:
                raise StuckError(f"it has not ended after {self._most_moments} moments, at {self.time:.0f} s")
            self._wake()
            able = [thread for thread in self._ready if self._may_run(thread)]
            if able:
                thread = able[self.random.randrange(len(able))] if len(able) > 1 else able[0]
                self._ready.remove(thread)
                thread.greenlet.switch()
                self.after_moment()
            else:
                self._jump()

    def _may_run(self, thread: Thread) -> bool:
        return thread.process.dead or thread.process.stopped_until <= self.time

    def _wake(self) -> None:
        still = []
        for entry in self._waiting:
            thread, is_so, deadline = entry
            if thread.process.dead or deadline <= self.time or is_so():
                self._ready.append(thread)
            else:
                still.append(entry)
        self._waiting = still

    def _jump(self) -> None:
        """Go to the next moment at which anything happens."""
        moments = [deadline for _, _, deadline in self._waiting if deadline < float("inf")]
        moments += [thread.process.stopped_until for thread in self._ready]
        if self._timers:
            moments.append(self._timers[0][0])
        if not moments:
            waiting = ", ".join(thread.name for thread, _, _ in self._waiting)
            raise StuckError(f"nothing will ever happen any more; there wait: {waiting}")
        self.time = max(self.time, min(moments))
        while self._timers and self._timers[0][0] <= self.time:
            heapq.heappop(self._timers)[2]()

    # What is in a process asks

    @property
    def current(self) -> Thread:
        here = greenlet.getcurrent()
        return here.thread  # type: ignore[attr-defined,no-any-return]

    @property
    def here(self) -> SimProcess:
        return self.current.process

    def wait(self, is_so: Callable[[], bool], seconds: float | None = None) -> bool:
        """Give way until something is so, so long at most; whether it is."""
        thread = self.current
        if thread.process.dead:
            raise Killed
        deadline = float("inf") if seconds is None else self.time + max(seconds, 0.0)
        self._waiting.append((thread, is_so, deadline))
        self.hub.switch()
        if thread.process.dead:
            raise Killed
        return is_so()

    def give_way(self) -> None:
        """Let others go first, if the seed says so."""
        thread = self.current
        if thread.process.dead:
            raise Killed
        self._ready.append(thread)
        self.hub.switch()
        if thread.process.dead:
            raise Killed

    # As of `World`

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time + self.here.machine.ahead)

    def sleep(self, seconds: float) -> None:
        self.wait(lambda: False, seconds)

    def token(self) -> str:
        return f"{self.random.getrandbits(128):032x}"

    def lock(self) -> "SimLock":  # type: ignore[override]
        return SimLock(self)

    def condition(self) -> "SimCondition":  # type: ignore[override]
        return SimCondition(self)

    def event(self) -> "SimEvent":  # type: ignore[override]
        return SimEvent(self)

    def start(self, run: Callable[[], None], name: str) -> Thread:
        thread = Thread(self.here, run, f"{self.here.name}/{name}")
        self._ready.append(thread)
        return thread

    def side_by_side(self, function: Callable[[Any], Any], items: Iterable[Any], most: int) -> list[Any]:
        return [function(item) for item in items]

    def process(self) -> Process:
        process = self.here
        return Process(process.machine.name, process.machine.name, process.pid, process.pid)

    def runs(self, process: Process) -> bool:
        known = self.processes.get(process.pid)
        return known is not None and not known.dead

    def file_system(self, uri: str) -> tuple[Any, str]:
        scheme, _, path = uri.partition("://")
        return self.disks[scheme], path

    @property
    def processes(self) -> dict[int, SimProcess]:
        threads = {*self._ready, *(thread for thread, _, _ in self._waiting)}
        return {thread.process.pid: thread.process for thread in threads} | {self.here.pid: self.here}


class SimLock:
    """A mutex."""

    def __init__(self, world: SimWorld) -> None:
        self._world, self._held = world, False

    def __enter__(self) -> None:
        while self._held:
            self._world.wait(lambda: not self._held)
        self._held = True

    def __exit__(self, *error: object) -> None:
        self._held = False


class SimCondition(SimLock):
    """Its waits look again whenever anything has happened: who changes something need not say so."""

    def wait_for(self, is_so: Callable[[], Any], timeout: float | None = None) -> bool:
        if is_so():
            return True
        self._held = False
        found = self._world.wait(lambda: bool(is_so()), timeout)
        self.__enter__()
        return found

    def notify_all(self) -> None:
        return


class SimEvent:
    """What is set once."""

    def __init__(self, world: SimWorld) -> None:
        self._world, self._is_set = world, False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        return self._is_set or self._world.wait(lambda: self._is_set, timeout)
