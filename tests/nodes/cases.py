"""What happens to the nodes in a sweep, and what must have become of it: one function for each kind of fault."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.nodes.cluster import Nodes, nodes, redis_server
from tests.nodes.faulty import Sweep, all_ended, space, unlike

SMALL_HEAD: Final = 10**8
"""Bytes of memory that a head has where owners of groups find no place on it, and go to other nodes."""
Trials = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What became of a sweep after one fault.

    Attributes:
        fault: what happened.
        step: when.
        seconds: until the sweep said that it goes on; None: it did not say so.
        words: what it said.
    """

    fault: str
    step: str
    seconds: float | None
    words: str


def undisturbed(folder: Path, cpus: int, workers: int) -> Trials:
    """The trials of a sweep on one node of so many CPUs, each of which pretrains; so many work on a trial."""
    with nodes(cpus) as cluster, _begun(folder, cluster, workers) as sweep:
        assert sweep.end() == 0, sweep.said
        assert all_ended(sweep.trials())
        return sweep.trials()


def lost(folder: Path, role: str, steps: tuple[str, ...], expected: Trials, small_head: bool = False) -> list[Outcome]:
    """In every step, the loss of a node that holds a role; another takes its place later.

    Args:
        folder: where the sweep runs.
        role: as of `cluster.ROLES`; it is never on the head.
        steps: of `STEPS`.
        expected: trials that the sweep must end with, two workers each, on one group.
        small_head: whether the head has no memory for owners of groups.
    """
    outcomes = []
    memory = SMALL_HEAD if small_head else None
    with nodes(1, 1, 1, head_memory=memory) as cluster, _begun(folder, cluster, 2) as sweep:
        for step in steps:
            assert sweep.reach(step), (step, sweep.said)
            victim = _holder(cluster, role)
            if victim is None:
                outcomes.append(Outcome(f"{role} lost", step, None, "lies on the head: no other node takes it along"))
                continue
            outcomes.append(_after(sweep, f"{role} lost", step, lambda gone=victim: cluster.lose(gone)))
            cluster.add()
        _check_end(sweep, expected)
    return outcomes


def lost_alone(folder: Path, steps: tuple[str, ...], expected: Trials) -> list[Outcome]:
    """The same of groups of one worker, which is its group's owner too; two groups run, on a node each."""
    outcomes = []
    with nodes(0, 1, 1) as cluster, _begun(folder, cluster, 1) as sweep:
        for step in steps:
            assert sweep.reach(step), (step, sweep.said)
            victim = _holder(cluster, "worker" if step == "pretraining" else "owner")
            assert victim is not None
            outcomes.append(_after(sweep, "only worker lost", step, lambda gone=victim: cluster.lose(gone)))
            cluster.add()
        _check_end(sweep, expected)
    return outcomes


def drained(folder: Path, steps: tuple[str, ...], expected: Trials, workers: int, seconds: int = 40) -> list[Outcome]:
    """A node with a worker is drained, and taken away when its time is up."""
    outcomes = []
    with nodes(workers - 1, 1, 1) as cluster, _begun(folder, cluster, workers) as sweep:
        for step in steps:
            assert sweep.reach(step), (step, sweep.said)
            victim = _holder(cluster, "owner" if workers == 1 and step != "pretraining" else "worker")
            assert victim is not None
            # When its time is up it goes, whether or not the sweep has left it by then.
            gone = threading.Timer(seconds, cluster.lose, [victim])

            def notice(it: Any = victim, then: threading.Timer = gone) -> None:
                cluster.drain(it, seconds)
                then.start()

            outcomes.append(_after(sweep, f"drained, {workers} a trial", step, notice))
            cluster.add()
            gone.join()
        _check_end(sweep, expected)
    return outcomes


def added(folder: Path, expected: Trials) -> Outcome:
    """A node joins while trials are explored: it gets a group."""
    with nodes(0, 1) as cluster, _begun(folder, cluster, 1) as sweep:
        assert sweep.reach("explore"), sweep.said
        begin = time.monotonic()
        new = cluster.add()
        while not cluster.processes(new, "owner") and sweep.driver is not None and sweep.driver.poll() is None:
            time.sleep(0.1)
        came = bool(cluster.processes(new, "owner"))
        seconds = time.monotonic() - begin
        _check_end(sweep, expected)
    return Outcome("node added", "explore", seconds if came else None, "it got a group" if came else "it got none")


def head_restarted(folder: Path, _: Trials) -> list[Outcome]:
    """The controller ends, as with a head that restarts; the sweep ends, and is resumed on the next cluster."""
    with nodes(1, 1, 1) as cluster, _begun(folder, cluster, 2) as sweep:
        assert sweep.reach("explore"), sweep.said
        begin = time.monotonic()
        cluster.lose_controller()
        code = sweep.end()
        seconds = time.monotonic() - begin
        words = sweep.said[-1][1]
        # Those that were proposed; what a resumed sweep proposes beyond them, it draws anew.
        known = {name: _chosen(row) for name, row in sweep.trials().items()}
    assert code == 1 and "resume" in words, (code, sweep.said)
    with nodes(1, 1, 1) as cluster:
        sweep.address = cluster.address
        sweep.begin("resume", sweep.name)
        assert sweep.end() == 0, sweep.said
        found = sweep.trials()
        assert all_ended(found), found
        again = {name: _chosen(found[name]) for name in known}
        assert known and not unlike(again, known), unlike(again, known)
        sweep.check_reports()
    return [Outcome("head restarts", "explore", seconds, words)]


def head_restarted_with_redis(folder: Path, expected: Trials, away: float = 10.0) -> list[Outcome]:
    """The controller ends and is back, with what it knew in Redis: the sweep goes on as if nothing had been."""
    with redis_server() as redis, nodes(1, 1, 1, redis=redis) as cluster, _begun(folder, cluster, 2) as sweep:
        outcomes = []
        for step in ("explore", "confirm"):
            assert sweep.reach(step), (step, sweep.said)
            said, rows = len(sweep.said), len(sweep.reports())
            cluster.lose_controller()
            time.sleep(away)
            cluster.start_controller()
            begin = time.monotonic()
            while len(sweep.reports()) == rows and sweep.runs():
                time.sleep(0.2)
            words = "; ".join(line for _, line in sweep.said[said:] if "goes on" in line or "stopped" in line)
            outcomes.append(Outcome("head restarts, with Redis", step, time.monotonic() - begin, words or "nothing"))
        _check_end(sweep, expected)
    return outcomes


@contextmanager
def _begun(folder: Path, cluster: Nodes, workers: int) -> Iterator[Sweep]:
    folder.mkdir()
    space(folder)
    sweep = Sweep(folder, cluster.address, workers)
    sweep.begin()
    try:
        yield sweep
    finally:
        if sweep.driver is not None:
            sweep.driver.kill()


def _holder(cluster: Nodes, role: str) -> Any | None:
    """A node beside the head that holds a role; None: there is none for so long that the head has it."""
    for _ in range(20):
        for node in cluster.holding(role):
            if node is not cluster.head:
                return node
        time.sleep(0.1)
    return None


def _after(sweep: Sweep, fault: str, step: str, strike: Callable[[], object]) -> Outcome:
    said, begin = len(sweep.said), time.monotonic()
    strike()
    when = sweep.until(lambda line: "it goes on" in line, since=said)
    words = next((line for _, line in sweep.said[said:] if "it goes on" in line), "")
    return Outcome(fault, step, None if when is None else when - begin, words)


def _chosen(row: dict[str, Any]) -> dict[str, Any]:
    """What was asked of a trial, however far it has come."""
    return {name: value for name, value in row.items() if name.startswith("param_") or name in ("seed", "origin")}


def _check_end(sweep: Sweep, expected: Trials) -> None:
    code = sweep.end()
    assert code == 0, sweep.said
    found = sweep.trials()
    assert all_ended(found), found
    assert not unlike(found, expected), unlike(found, expected)
    sweep.check_reports()
