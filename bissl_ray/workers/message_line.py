"""Messages from workers to the process that started them. Imports no torch: the actor that holds them needs none."""

from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError

from bissl_ray.workers.nodes import on_this_node


class MessageLine:
    """From workers to the process that started them, and a wish to stop back. A handle; copies go to the workers."""

    def __init__(self, name: str | None = None) -> None:
        """Start the actor that holds what nobody has taken yet; on this process's node, and it takes no CPU.

        Args:
            name: for `named`; None: it is found by its handle alone.
        """
        self._actor = ray.remote(**on_this_node())(_Messages).options(name=name).remote()

    @classmethod
    def named(cls, name: str) -> "MessageLine":
        """Another process's line of this job (raises ValueError where there is none)."""
        line = cls.__new__(cls)
        line._actor = ray.get_actor(name)
        return line

    def put(self, message: Any) -> bool:
        """Leave a message; returns whether the run shall stop."""
        asked: bool = ray.get(self._actor.put.remote(message))
        return asked

    def put_or_drop(self, message: Any) -> None:
        """Leave a message, unless nobody listens any more: no trial has to fail for that."""
        with suppress(RayError):
            self.put(message)

    def take(self) -> list[Any]:
        """Take what was left, oldest first."""
        messages: list[Any] = ray.get(self._actor.take.remote())
        return messages

    def leave(self, what: Any) -> None:
        """Leave something for those who work after this group of workers; the first that is left stays."""
        ray.get(self._actor.leave.remote(what))

    def left(self) -> Any:
        """What was left by a group before; None: nothing."""
        return ray.get(self._actor.left.remote())

    def ask_to_stop(self) -> None:
        """Let the next message be answered by a wish to stop."""
        ray.get(self._actor.ask_to_stop.remote())

    def close(self) -> None:
        """End the actor."""
        ray.kill(self._actor)


class _Messages:
    def __init__(self) -> None:
        self._waiting: list[Any] = []
        self._stop = False
        self._left: Any = None

    def put(self, message: Any) -> bool:
        self._waiting.append(message)
        return self._stop

    def take(self) -> list[Any]:
        taken, self._waiting = self._waiting, []
        return taken

    def leave(self, what: Any) -> None:
        self._left = self._left or what

    def left(self) -> Any:
        return self._left

    def ask_to_stop(self) -> None:
        self._stop = True
