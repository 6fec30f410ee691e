"""Why a group is gone, in a line, of what Ray itself says of it."""

import pickle
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError

from bissl_ray.sweep.losses import had_no_room, why_lost
from bissl_ray.workers.group import GroupLostError, NoRoomError


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("TrialRunner.train", "Traceback\n" * 100, cause)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ActorDiedError(),
            "a process of it ended unexpectedly: killed, perhaps for memory, or crashed; or its machine",
        ),
        (OutOfMemoryError("Task was killed due to the node running low on memory."), "Ray ended its process, as the"),
        (
            "Failure # 1\n1 worker(s) were killed due to the node running low on memory.",
            "Ray ended its process, as the",
        ),
        (task_error(GroupLostError("its worker group ended: no room")), "its worker group ended: no room"),
        (task_error(GroupLostError("The actor died unexpectedly before finishing")), "a process of it ended unexpec"),
        (None, "for an unknown reason"),
    ],
)
def test_why(tmp_path, error, expected):
    pickled, text = tmp_path / "error.pkl", tmp_path / "error.txt"
    if isinstance(error, str):  # of some of its errors Tune keeps the words alone
        text.write_text(error)
    elif error is not None:
        pickled.write_bytes(pickle.dumps(error))
    said = why_lost(SimpleNamespace(pickled_error_file=str(pickled), error_file=str(text)))
    assert said.startswith(expected) and "\n" not in said and len(said) < 210


@pytest.mark.parametrize(("error", "expected"), [(NoRoomError("none"), True), (GroupLostError("gone"), False)])
def test_no_room_is_told_from_a_loss(tmp_path, error, expected):
    pickled = tmp_path / "error.pkl"
    pickled.write_bytes(pickle.dumps(task_error(error)))
    assert had_no_room(SimpleNamespace(pickled_error_file=str(pickled))) is expected
