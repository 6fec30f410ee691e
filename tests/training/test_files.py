"""Checkpoints appear whole, cost a share of the time and no more, and go when the trial is over."""

import multiprocessing
import time
from types import SimpleNamespace

import pytest
import torch

from bissl_ray.errors import RunFailedError
from bissl_ray.training import files
from bissl_ray.training.files import SavedProgress, exists, read_tensors, write_tensors
from bissl_ray.training.tensors import DamagedTensorsError, tensors_of


@pytest.fixture
def ticking(monkeypatch):
    """A clock that goes one second further whenever it is read: every save then takes one second."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(files, "world", lambda: SimpleNamespace(monotonic=lambda: float(next(seconds))))


def test_writing_keeps_to_its_share_of_the_time(tmp_path, ticking):
    progress = SavedProgress(str(tmp_path), "trial")
    looks = []
    for _ in range(3):
        waited = 0
        while not progress.due:
            waited += 1
        progress.save({"waited": waited})
        looks.append(waited)
    # The first save is due at once; after one that took 1 s, the next is due 20 s (the 20th look) later.
    assert looks == [0, 19, 19]


def test_progress_is_there_until_it_is_cleared(tmp_path):
    progress = SavedProgress(str(tmp_path), "sweeps/s/checkpoints/t000")
    assert progress.load() is None
    progress.clear()  # nothing to clear is no error
    content = {"stage": "bissl", "state": {"step": 3}, "tensor": torch.arange(3.0), "nothing": None}
    progress.save(content)
    loaded = SavedProgress(str(tmp_path), "sweeps/s/checkpoints/t000").load()
    assert loaded is not None
    assert torch.equal(loaded.pop("tensor"), content.pop("tensor"))
    assert loaded == content
    progress.clear()
    assert progress.load() is None
    assert list((tmp_path / "sweeps/s/checkpoints/t000").iterdir()) == []


def test_a_save_that_fails_leaves_the_last_one(tmp_path):
    progress = SavedProgress(str(tmp_path), "trial")
    progress.save({"step": 1})
    with pytest.raises(Exception, match="pickle"):
        progress.save({"step": 2, "model": torch.ones(10), "not picklable": lambda: None})
    assert progress.load() == {"step": 1}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 100, b"\x80\x02]q\x00."])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, content):
    progress = SavedProgress(str(tmp_path), "trial")
    progress.save({"step": 1})
    (tmp_path / "trial/progress.pt").write_bytes(content)
    with pytest.raises(RunFailedError, match=r"trial/progress\.pt is damaged, .*remove it to begin anew"):
        progress.load()


def _save_for_ever(storage: str) -> None:
    progress = SavedProgress(storage, "trial")
    step = 0
    while True:
        step += 1
        progress.save({"step": step, "tensor": torch.full((200_000,), float(step))})


def test_a_process_killed_while_saving_leaves_a_whole_checkpoint(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "torch._dynamo", "bissl_ray.bilevel"])
    for kill in range(6):
        process = context.Process(target=_save_for_ever, args=(str(tmp_path),))
        process.start()
        while process.is_alive() and not exists(str(tmp_path), "trial/progress.pt"):
            time.sleep(0.002)
        time.sleep(0.003 * kill)  # somewhere else in a write each time
        process.kill()
        process.join()
        loaded = SavedProgress(str(tmp_path), "trial").load()
        assert loaded is not None
        assert torch.equal(loaded["tensor"], torch.full((200_000,), float(loaded["step"])))
        SavedProgress(str(tmp_path), "trial").clear()


def test_only_tensors_and_plain_values_are_unpickled(tmp_path):
    torch.save({"object": SimpleNamespace(a=1)}, tmp_path / "harm.pt")
    with pytest.raises(Exception, match="is damaged, or another program's"):
        read_tensors(str(tmp_path), "harm.pt")
    assert read_tensors(str(tmp_path), "missing.pt") is None


def test_tensors_come_back_bit_equal(tmp_path):
    tensors = {"half": torch.randn(5).half(), "whole": torch.tensor(7), "flags": torch.tensor([True, False])}
    write_tensors(str(tmp_path), "a/b/c.pt", tensors)
    loaded = read_tensors(str(tmp_path), "a/b/c.pt") or {}
    assert all(
        torch.equal(loaded[name], tensor) and loaded[name].dtype == tensor.dtype for name, tensor in tensors.items()
    )


def test_of_a_file_with_any_byte_flipped_or_cut_off_nothing_but_what_was_written_is_read(tmp_path):
    write_tensors(str(tmp_path), "a.pt", {"stage": "bissl", "weights": torch.arange(30.0)})
    whole, refused = (tmp_path / "a.pt").read_bytes(), 0
    flipped = (whole[:at] + bytes([whole[at] ^ (1 << (at * 5 % 8))]) + whole[at + 1 :] for at in range(len(whole)))
    for content in (*flipped, *(whole[:at] for at in range(len(whole)))):
        try:
            read = tensors_of(content, "a.pt")
        except DamagedTensorsError as error:
            refused += 1
            assert str(error).startswith("a.pt is damaged, or another program's (") and "\n" not in str(error)
        else:  # padding
            assert read["stage"] == "bissl" and torch.equal(read["weights"], torch.arange(30.0))
    assert refused > 1.5 * len(whole)
