"""A storage that refuses is asked again, less and less often, for an hour; what does not pass is said at once."""

import errno

import pyarrow as pa
import pytest

from bissl_ray.store.patience import StorageRefusedError, briefly, patiently
from bissl_ray.world import World, inside


class Waiting(World):
    """A world in which waiting takes no time, and is written down."""

    def __init__(self) -> None:
        self.time, self.waited = 0.0, list[float]()

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.time += seconds


@pytest.fixture
def around():
    waiting = Waiting()
    with inside(waiting):
        yield waiting


def refusing(times: int, error: Exception):
    """Something that is refused so often, and then done."""
    tries = iter([error] * times)

    def do() -> str:
        for refused in tries:
            raise refused
        return "done"

    return do


def test_it_is_done_when_the_storage_takes_it(around):
    told: list[str | None] = []
    assert patiently(refusing(0, OSError()), told.append, "a file") == "done" and told == []
    full = OSError(errno.ENOSPC, "No space left on device")
    assert patiently(refusing(7, full), told.append, "a file") == "done"
    assert around.waited == [1, 2, 4, 8, 16, 30, 30]
    waits = "waits for the storage, which refuses a file: No space left on device"
    assert told == [waits] * 7 + [None]


def test_after_an_hour_it_is_refused(around):
    with pytest.raises(StorageRefusedError, match=r"the storage refused a file for 60 minutes: No space") as caught:
        patiently(refusing(10**6, OSError(errno.ENOSPC, "")), lambda _: None, "a file")
    assert 3600 <= around.time < 3660 and caught.value.errno == errno.ENOSPC
    with pytest.raises(StorageRefusedError, match=r"the storage refused a file: "):
        patiently(refusing(1, OSError(errno.EIO, "")), lambda _: None, "a file", patience=0)


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), NotADirectoryError(), StorageRefusedError(), KeyError()])
def test_what_does_not_pass_is_not_waited_for(around, error):
    with pytest.raises(type(error)):
        patiently(refusing(1, error), lambda _: None, "a file")
    assert around.waited == []


def test_of_an_object_store_what_is_wrong_is_said_without_the_key():
    said = (
        "When getting information for key 'runs/sweeps/s3/lock.json.void' in bucket 'bissl': AWS Error "
        "NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect to server; Details: Failed"
    )
    short = "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect to server"
    assert briefly(OSError(said)) == short
    assert briefly(pa.ArrowInvalid("no such thing")) == "no such thing"
