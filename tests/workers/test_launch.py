"""How a run on workers that was stopped tells whether it saved where it was."""

from typing import Any

import pytest

from bissl_ray.errors import RunFailedError
from bissl_ray.training.files import write_tensors
from bissl_ray.training.watch import Advance
from bissl_ray.workers.launch import RunEnd, Told, run_on_workers
from bissl_ray.workers.train_run import GroupShape
from tests.training.small_trial import order

SHAPE = GroupShape(1, 1, use_gpu=False, run_dir="/nowhere")


class Follower:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def advanced(self, advance: Advance) -> None:
        self.seen.append(advance)

    def reported(self, row: dict[str, Any]) -> None:
        self.seen.append(row)


def test_what_workers_say():
    told = Told(Follower())
    assert told.take(("report", {"epoch": 1})) and told.follower.seen == [{"epoch": 1}]
    assert told.take(("result", {"objective": 0.5})) and told.result == {"objective": 0.5} and not told.stopped
    assert not told.take(("stopped", None)) and told.stopped
    with pytest.raises(RunFailedError, match="the loss is nan"):
        Told(Follower()).take(("failure", "the loss is nan"))


@pytest.mark.parametrize(
    ("messages", "progress", "saved"),
    [
        ([("stopped", None)], True, True),
        ([("report", {"alternation": 1})], True, False),  # its minute was over before the chief answered
        ([("stopped", None)], False, False),  # while images were decoded, or it only scores
    ],
)
def test_what_is_saved_is_what_the_chief_said_it_saved(tmp_path, monkeypatch, messages, progress, saved):
    def stopped(loop, config, shape, *, name, on_message, stopped):
        """Ends as a run on workers does that was asked to stop, after these messages."""
        for message in messages:
            on_message(message)
        return False

    monkeypatch.setattr("bissl_ray.workers.train_run.run_with_messages", stopped)
    asked = order(tmp_path)
    if progress:
        write_tensors(asked.storage, f"{asked.folder}/progress.pt", {})
    end = run_on_workers(asked, SHAPE, Follower(), lambda: True)
    assert end == RunEnd(None, saved=saved)
