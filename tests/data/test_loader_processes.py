"""Loader processes where sockets' paths get too long, shared memory is full, or a torch.py lies about."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bissl_ray.data import loader_processes
from bissl_ray.data.loader_processes import received, sent

ROOT = str(Path(__file__).parents[2])
DRAW = """
import sys, tempfile, multiprocessing.util as util
import torch
from bissl_ray.data import get_dataset
from tests.data.batches import pretext_batches
if __name__ == "__main__":
    splits = get_dataset("digits").open(None)
    drawn = []
    for processes in (0, 1):
        options = {"image_size": 8, "batch": 4, "seed": 0, "processes": processes}
        batches = pretext_batches(splits.train, get_dataset("digits"), **options)
        drawn.append(next(batches))
        batches.close()
    assert all(torch.equal(one, other) for one, other in zip(*drawn))
    print(tempfile.gettempdir(), util.get_temp_dir(), sep="\\n")
"""


@pytest.mark.slow
def test_they_start_whatever_lies_about_and_however_long_the_folders_are(tmp_path: Path) -> None:
    folder, here = tmp_path / ("x" * 150), tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    for name in ("torch", "socket", "random"):
        (here / f"{name}.py").write_text("raise SystemExit(f'taken from {__file__}')\n")
    script = tmp_path / "draw.py"
    script.write_text(DRAW)
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": ROOT}
    done = subprocess.run(
        [sys.executable, script], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    temporary, of_sockets = done.stdout.split()
    assert temporary == str(folder), "other temporary files stay where they were asked for"
    assert len(of_sockets) < 50 and not Path(of_sockets).exists() and not Path(of_sockets).parent.name.startswith("x")


def test_without_room_in_shared_memory_a_batch_goes_through_the_pipe(monkeypatch, capsys) -> None:
    batch = (torch.arange(6).reshape(2, 3), {"labels": torch.ones(2)})
    assert sent(batch) is batch, "a worker by itself sends nothing"

    def full(_: Tensor) -> Tensor:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(loader_processes, "get_worker_info", lambda: object())
    shared = sent(batch)
    assert shared[0].is_shared() and shared[1]["labels"].is_shared() and received(shared) is shared
    monkeypatch.setattr(Tensor, "share_memory_", full)
    numbers, others = received(sent(batch))
    assert torch.equal(numbers, batch[0]) and torch.equal(others["labels"], batch[1]["labels"])
    assert "/dev/shm is full" in capsys.readouterr().err
