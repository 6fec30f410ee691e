"""Why a worker group was lost, in words for one line: what Ray says of it is a page."""

import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from bissl_ray.workers.group import NoRoomError

_SHORT_OF_MEMORY: Final = "low on memory"
_DIED: Final = "died unexpectedly"
_MOST: Final = 200


def why_lost(trial: Any) -> str:
    """Why the group of one of Tune's trials is gone, as far as is known."""
    error = _error_of(trial)
    said = f"{error} {getattr(error, 'cause', '')}"
    if isinstance(error, OutOfMemoryError) or _SHORT_OF_MEMORY in said:
        return "Ray ended its process, as the memory of its machine was nearly used up"
    if isinstance(error, RayActorError) or _DIED in said:
        return "a process of it ended unexpectedly: killed, perhaps for memory, or crashed; or its machine is gone"
    if isinstance(error, RayTaskError):
        return _short(str(error.cause or error))
    return _short(str(error)) if error else "for an unknown reason"


def had_no_room(trial: Any) -> bool:
    """Whether the group of one of Tune's trials never came up, or not again, for want of room on the cluster."""
    return isinstance(getattr(_error_of(trial), "cause", None), NoRoomError)


def _error_of(trial: Any) -> BaseException | str | None:
    """What Tune has put aside in files of its own, on this machine: the error itself, or what it says."""
    with suppress(Exception):
        found = pickle.loads(Path(trial.pickled_error_file).read_bytes())
        if isinstance(found, BaseException):
            return found
    with suppress(Exception):
        return Path(trial.error_file).read_text("utf-8", "replace")
    return None


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _MOST else f"{words[:_MOST]}..."
