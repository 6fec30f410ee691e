"""How many worker groups there is room for, on a cluster that gains, loses and drains machines while a sweep runs."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from bissl_ray.workers.place import OnCluster

_LOOK_S: Final = 2.0


class Room:
    """For always as many groups.

    Args:
        slots: how many.
        gpus: that they take, in all.
    """

    def __init__(self, slots: int, gpus: float = 0.0) -> None:
        self._slots, self._gpus = slots, gpus

    def slots(self) -> int:
        """How many groups fit at the moment."""
        return self._slots

    def gpus(self) -> float:
        """GPUs that as many groups take, in all."""
        return self._gpus

    def want(self, groups: int | None) -> None:
        """Take note of how many groups could be used at the moment; None: all."""

    @property
    def shared_with(self) -> str | None:
        """Who else has a part of it, in words; None: nobody."""
        return None

    @property
    def where(self) -> str | None:
        """The cluster that has it, in words; None: not known."""
        return None

    def share(self) -> float:
        """What part of it is the sweep's whose room it is."""
        return 1.0

    def leaving(self, actors: Mapping[str, Any]) -> set[str]:
        """Which runs have something on a machine that will be taken away.

        Args:
            actors: handles of their Tune actors, by run.
        """
        return set()


class RoomNow(Room):
    """For as many as a connected cluster has room for now; looked up in the background, as the driver must not wait."""

    def __init__(self, place: OnCluster) -> None:
        super().__init__(place.slots, place.gpus)
        self._place = place
        self._going: frozenset[str] = frozenset()
        self._over = threading.Event()

    def want(self, groups: int | None) -> None:  # noqa: D102
        self._place.want(groups)

    @property
    def shared_with(self) -> str | None:  # noqa: D102
        neighbours = self._place.neighbours
        if neighbours is None or not neighbours.others:
            return None
        if self._slots == 0:
            return neighbours.holding
        return f"shares the cluster with {neighbours.words}: {self._slots} at a time"

    @property
    def where(self) -> str | None:  # noqa: D102
        return self._place.cluster.where

    def leaving(self, actors: Mapping[str, Any]) -> set[str]:  # noqa: D102
        if not self._going or not actors:
            return set()
        from bissl_ray.workers.nodes import owners_on

        runs = {actor._actor_id.hex(): run for run, actor in actors.items()}
        return {runs[owner] for owner in owners_on(self._going, runs)}

    @contextmanager
    def looked_up(self) -> Iterator["RoomNow"]:
        """Keep it up to date for the duration of a `with` block."""
        looking = threading.Thread(target=self._look, name="room", daemon=True)
        looking.start()
        try:
            yield self
        finally:
            self._over.set()
            looking.join(_LOOK_S)  # longer only where the cluster does not answer

    def _look(self) -> None:
        from bissl_ray.workers.nodes import leaving
        from bissl_ray.workers.reservations import free_orphaned

        while not self._over.wait(_LOOK_S):
            try:
                now = self._place.now
                self._slots, self._gpus, self._going = now.slots, now.gpus, leaving()
                free_orphaned()
            except Exception as error:  # a cluster that does not answer is `workers.watch`'s business
                logging.getLogger("ray").warning("the cluster's machines can't be listed: %s", error)
