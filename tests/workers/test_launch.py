"""How a run on workers that was stopped tells whether it saved where it was."""

import pytest

from bissl_ray.errors import RunFailedError
from bissl_ray.progress import Report, TrialEnded
from bissl_ray.training.files import write_tensors
from bissl_ray.workers.launch import RunEnd, Told, run_on_workers
from bissl_ray.workers.shape import GroupShape
from tests.training.small_trial import order
from tests.views import Seen

SHAPE = GroupShape(1, 1, use_gpu=False, run_dir="/nowhere")


def test_what_workers_say():
    seen = Seen()
    told = Told(seen)
    assert told.take(Report({"epoch": 1})) and seen.rows == [{"epoch": 1}]
    assert told.take(TrialEnded("complete", {"objective": 0.5}))
    assert told.result == {"objective": 0.5} and not told.stopped
    assert not told.take(TrialEnded("stopped")) and told.stopped
    with pytest.raises(RunFailedError, match="the loss is nan"):
        Told(Seen()).take(TrialEnded("failed", reason="the loss is nan"))


@pytest.mark.parametrize(
    ("messages", "progress", "saved"),
    [
        ([TrialEnded("stopped")], True, True),
        ([Report({"alternation": 1})], True, False),  # its minute was over before the chief answered
        ([TrialEnded("stopped")], False, False),  # while images were decoded, or it only scores
    ],
)
def test_what_is_saved_is_what_the_chief_said_it_saved(tmp_path, monkeypatch, messages, progress, saved):
    def stopped(loop, config, shape, *, name, on_message, on_loss, stopped):
        """Ends as a run on workers does that was asked to stop, after these messages."""
        for message in messages:
            on_message(message)
        return False

    monkeypatch.setattr("bissl_ray.workers.train_run.run_with_messages", stopped)
    asked = order(tmp_path)
    if progress:
        write_tensors(asked.storage, f"{asked.folder}/progress.pt", {})
    end = run_on_workers(asked, lambda: SHAPE, Seen(), lambda: True)
    assert end == RunEnd(None, saved=saved)
