"""How long a storage that refuses is asked again: a full disk is emptied, a server comes back, and work goes on."""

from collections.abc import Callable
from typing import Final, TypeVar

import pyarrow as pa

from bissl_ray.store.filesystem import reason
from bissl_ray.world import world

T = TypeVar("T")

PATIENCE_S: Final = 3600.0
"""Until a refusal counts as final."""
_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0
_OF_S3: Final = "AWS Error "
_FINAL: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What is not there, or is something else, does not come by waiting."""


class StorageRefusedError(OSError):
    """A storage has refused for longer than it is waited for; the message says what, and why."""


class Pauses:
    """Between tries: each twice as long as the one before, up to half a minute."""

    def __init__(self) -> None:
        self.next = _FIRST_S

    def longer(self) -> float:
        """Seconds until the next try."""
        pause, self.next = self.next, min(2 * self.next, _LONGEST_S)
        return pause


def may_pass(error: BaseException) -> bool:
    """Whether what a storage says may be otherwise in a while."""
    return isinstance(error, OSError | pa.ArrowException) and not isinstance(error, (*_FINAL, StorageRefusedError))


def briefly(error: BaseException) -> str:
    """Why a storage refused, for a line that stays on the board: of an object store without its key, which goes on."""
    said = reason(error)
    at = said.find(_OF_S3)
    return said if at < 0 else said[at:].partition(";")[0]


def patiently(do: Callable[[], T], waits: Callable[[str | None], None], what: str, patience: float = PATIENCE_S) -> T:
    """Do something in a storage; again, and again, where that refuses.

    Args:
        do: safe to be done twice.
        waits: told before every further try what is waited for, in words; and None when it is done.
        what: is done, for these words: "to write aligned.pt".
        patience: seconds; 0: one try.

    Raises:
        StorageRefusedError: it has refused for so long.
        OSError: it refuses for a reason that does not pass.
    """
    until, pauses, told = world().monotonic() + patience, Pauses(), False
    while True:
        try:
            result = do()
        except (OSError, pa.ArrowException) as error:
            if not may_pass(error):
                raise
            if world().monotonic() >= until:
                waited = f" for {patience / 60:.0f} minutes" if told else ""
                raise StorageRefusedError(
                    getattr(error, "errno", None), f"the storage refused {what}{waited}: {briefly(error)}"
                ) from error
            waits(f"waits for the storage, which refuses {what}: {briefly(error)}")
            told = True
            world().sleep(pauses.longer())
        else:
            if told:
                waits(None)
            return result
