"""Batches on their way from the loaders to the network: moved, finished there, and where that is done."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

import torch
from torch import Tensor

from bissl_ray.data.cache.news import Tell
from bissl_ray.data.nested import each_tensor
from bissl_ray.data.transforms import Place
from bissl_ray.progress import Note
from bissl_ray.training.clock import now
from bissl_ray.training.precision import drawn_outside_autocast

Finish = Callable[[Any], Any]
"""From a batch on the network's device to what the network takes (`data.transforms.InSteps`)."""

_BATCHES: Final = 6
_WORTH_IT: Final = 1.1
_found: dict[Any, Place] = {}


def own_collate(task: type, base: type) -> Callable[..., Any] | None:
    """A task's `collate`, where it isn't that of the class which all tasks are derived from."""
    own: Any = task.collate  # type: ignore[attr-defined]
    return None if getattr(own, "__func__", own) is base.collate.__func__ else own  # type: ignore[attr-defined]


def prepared(batches: Iterable[Any], finish: Finish, device: torch.device) -> Iterator[Any]:
    """Move batches to a device without waiting for it, and finish them there."""
    for batch in drawn_outside_autocast(batches):
        yield finish(_moved(batch, device))


def prepared_ahead(batches: Iterable[Any], finish: Finish, device: torch.device) -> Iterator[Any]:
    """The same on CUDA, on a stream of its own: the next batch is moved and finished while this one is worked on."""
    beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def on_its_way(batch: Any) -> tuple[Any, torch.cuda.Event]:
        with torch.cuda.stream(beside), torch.no_grad():
            return finish(_moved(batch, device)), beside.record_event()

    waiting: tuple[Any, torch.cuda.Event] | None = None
    for batch in drawn_outside_autocast(batches):
        waiting, ready = on_its_way(batch), waiting
        if ready is not None:
            yield _handed_over(*ready)
    if waiting is not None:
        yield _handed_over(*waiting)


def _handed_over(batch: Any, made: torch.cuda.Event) -> Any:
    """A batch that another stream makes, for the current one, which waits for it."""
    current = torch.cuda.current_stream()
    current.wait_event(made)

    def kept(tensor: Tensor) -> Tensor:
        # Its memory may be given away once this stream is done with it, not when the one that made it is.
        tensor.record_stream(current)
        return tensor

    return each_tensor(batch, kept)


def _moved(batch: Any, device: torch.device) -> Any:
    return each_tensor(batch, lambda tensor: tensor.to(device, non_blocking=True))


def faster_place(
    stream: str,
    key: Any,
    drawn: Callable[[Place], AbstractContextManager[Iterator[Any]]],
    processes: int,
    device: torch.device,
    tell: Tell,
) -> Place:
    """Where a few batches are ready faster; measured once in a process for each key. Values are the same in both.

    Args:
        stream: of which batches.
        key: what else the figures depend on.
        drawn: opens batches that are augmented in a place.
        processes: loader processes: what they drew ahead is not timed.
        device: the network's.
        tell: hears what was found.
    """
    if (stream, key, device) not in _found:
        rates = {}
        for place in ("loader", "device"):
            with drawn(place) as batches:
                rates[place] = _rate(batches, 1 + 2 * processes, device)
        chosen: Place = "device" if rates["device"] > _WORTH_IT * rates["loader"] else "loader"
        _found[stream, key, device] = chosen
        figures = " and ".join(f"{rate:,.1f} batches per second in {place}" for place, rate in rates.items())
        tell(Note(f"{stream}: photographs are augmented in the {chosen} (augment: auto measured {figures})"))
    return _found[stream, key, device]


def _rate(batches: Iterator[Any], ahead: int, device: torch.device) -> float:
    for _ in range(ahead):
        next(batches)
    begin = now(device)
    for _ in range(_BATCHES):
        next(batches)
    return _BATCHES / max(now(device) - begin, 1e-9)
