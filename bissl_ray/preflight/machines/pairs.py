"""What the machines send each other, two at a time: by nccl where both have GPUs, else by gloo; with the rate."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from bissl_ray.preflight.machines.ask import Machines
from bissl_ray.preflight.machines.checks import Check, Verdict, some

PATIENCE_S: Final = 60.0
_FLOATS: Final = 4 * 2**20
"""16 MiB at a time, as much as the gradients of a small network."""
_TIMES: Final = 4


@dataclass(frozen=True)
class Rate:
    """What became of one pair.

    Attributes:
        machines: their names.
        backend: "nccl" or "gloo".
        bytes_per_second: that each sent; None: nothing came through.
        failure: why not, in words.
    """

    machines: tuple[str, str]
    backend: str
    bytes_per_second: float | None = None
    failure: str | None = None


def check_between(machines: Machines) -> Iterator[Check]:
    """Whether workers on any two of them would find each other; nothing where there is one."""
    if len(machines.names) < 2:
        return
    measured = list(rates(machines.each))
    wrong = [f"{' and '.join(rate.machines)}: {rate.failure}" for rate in measured if rate.failure]
    came = [rate for rate in measured if rate.bytes_per_second is not None]
    found = []
    if came:
        slowest = min(came, key=lambda rate: rate.bytes_per_second or 0.0)
        speed = f"{(slowest.bytes_per_second or 0.0) / 1e6:.3g} MB/s by {slowest.backend}"
        found.append(f"{speed} between {' and '.join(slowest.machines)}{', the slowest' * (len(came) > 1)}")
    if not wrong:
        yield Check("between machines", Verdict.OK, *found)
        return
    remedy = (
        "workers of one trial would not find each other: open the ports between the machines to each other, and name "
        "the network card with GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME where there are several"
    )
    yield Check("between machines", Verdict.FAILURE, "; ".join([some(wrong), *found]), remedy)


def rounds(number: int) -> Iterator[list[tuple[int, int]]]:
    """Every pair of so many once, in as few rounds as there can be: nobody is in two pairs of a round."""
    places: list[int | None] = [*range(number), *([None] if number % 2 else [])]
    for _ in range(len(places) - 1):
        halves = zip(places[: len(places) // 2], reversed(places[len(places) // 2 :]), strict=True)
        pairs = [(a, b) for a, b in halves if a is not None and b is not None]
        if pairs:
            yield pairs
        places.insert(1, places.pop())


def rates(machines: Sequence[Any]) -> Iterator[Rate]:
    """Measure every pair, one round after another.

    Connected to Ray. Takes no CPU; of machines that have GPUs one each, for which it waits a minute.

    Args:
        machines: as `nodes.machines_now` gives them.
    """
    for pairs in rounds(len(machines)):
        begun = [(_begin(machines[a], machines[b]), machines[a], machines[b]) for a, b in pairs]
        for (backend, actors, both), first, second in begun:
            yield _end(backend, actors, both, (first.name, second.name))


def _begin(first: Any, second: Any) -> tuple[str, list[Any], list[Any]]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    gpus = 1 if first.node.gpus and second.node.gpus else 0
    backend = "nccl" if gpus else "gloo"
    end = ray.remote(_End)
    actors = [
        end.options(
            num_cpus=0, num_gpus=gpus, scheduling_strategy=NodeAffinitySchedulingStrategy(each.id, soft=False)
        ).remote()
        for each in (first, second)
    ]
    address = actors[0].listens.remote()
    return backend, actors, [each.exchange.remote(rank, address, backend) for rank, each in enumerate(actors)]


def _end(backend: str, actors: list[Any], both: list[Any], names: tuple[str, str]) -> Rate:
    import ray
    from ray.exceptions import GetTimeoutError, RayError

    try:
        return Rate(names, backend, min(ray.get(both, timeout=PATIENCE_S)))
    except GetTimeoutError:
        why = "no GPU was free, or nothing came through" if backend == "nccl" else "nothing came through"
        return Rate(names, backend, failure=f"{why} within {PATIENCE_S:.0f} s")
    except RayError as error:
        cause = getattr(error, "cause", error)
        return Rate(names, backend, failure=" ".join(str(cause).split())[:200])
    finally:
        for each in actors:
            ray.kill(each)


class _End:
    """One of the two."""

    def listens(self) -> str:
        """Where the first of them waits for the other."""
        import ray

        with closing(socket.socket()) as free:
            free.bind(("", 0))
            return f"tcp://{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"

    def exchange(self, rank: int, address: str, backend: str) -> float:
        """Sum numbers with the other one; bytes per second, without the first time, which connects them."""
        import torch
        from torch import distributed

        device = torch.device("cuda", 0) if backend == "nccl" else torch.device("cpu")
        distributed.init_process_group(
            backend, init_method=address, rank=rank, world_size=2, timeout=timedelta(seconds=PATIENCE_S / 2)
        )
        try:
            numbers = torch.ones(_FLOATS, device=device)
            distributed.all_reduce(numbers)
            _done(numbers)
            begin = time.monotonic()
            for _ in range(_TIMES):
                distributed.all_reduce(numbers)
            _done(numbers)
            return _TIMES * numbers.nbytes / (time.monotonic() - begin)
        finally:
            distributed.destroy_process_group()


def _done(numbers: Any) -> None:
    """Wait for what was asked of a GPU."""
    float(numbers[0])
