"""What a sweep starts from: pretrained by how many workers, or read from a file that is not ours."""

import threading

import pytest
import torch

from bissl_ray.config import load_search_space
from bissl_ray.config.requests import SweepRequest
from bissl_ray.models import build_backbone
from bissl_ray.preflight.sweeps import fitting_models
from bissl_ray.sweep.start import _alone_at, pretraining_workers
from bissl_ray.workers.interrupt import Interrupt
from tests.views import Seen


@pytest.mark.parametrize(
    ("batch", "places", "workers"),
    [(128, 1, 1), (128, 2, 2), (128, 3, 2), (128, 64, 4), (1024, 6, 4), (1024, 64, 32), (7, 4, 1)],
)
def test_pretraining_takes_the_workers_that_it_is_worth(batch, places, workers):
    assert pretraining_workers(batch, places) == workers


def test_a_file_from_before_counters_fits(tmp_path):
    state = build_backbone("smallconv").state_dict()
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, tmp_path / "old.pth")
    request = SweepRequest(
        name="s", dataset="digits", pretrained=str(tmp_path / "old.pth"), space=load_search_space("digits")
    )
    read = fitting_models(request)
    assert "20 of its 20 tensors match, 0 missing" in read.facts.notes[0]
    assert "no pretext head" in read.facts.notes[-1]
    found = read.models.content()["backbone"]
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


class _Place:
    def __init__(self) -> None:
        self.wanted: list[int | None] = []

    def want(self, groups: int | None) -> None:
        self.wanted.append(groups)


START = "pretrained/digits-0.pt"


def test_one_sweep_makes_what_several_start_from(tmp_path, monkeypatch):
    monkeypatch.setattr("bissl_ray.sweep.start._LOOK_S", 0.05)
    ended = []

    def other() -> None:
        place = _Place()
        with _alone_at(START, str(tmp_path), place, seen, Interrupt()) as alone:
            ended.append((alone, place.wanted))

    seen = Seen(then=lambda event: waits.set())
    waits = threading.Event()
    waiting = threading.Thread(target=other)
    with _alone_at(START, str(tmp_path), _Place(), Seen(), Interrupt()) as alone:
        assert alone
        waiting.start()
        assert waits.wait(10)
        (tmp_path / "pretrained").mkdir(exist_ok=True)
        (tmp_path / START).write_bytes(b"models")
    waiting.join(10)
    ((made, wanted),) = ended
    assert not made and wanted[0] == 0 and wanted[-1] is None, "who waits leaves the cluster to the others"
    (note,) = seen.notes
    assert note.startswith("waits: another sweep's pretraining of the same models is being run by process ")
    assert [path.name for path in (tmp_path / "pretrained").iterdir()] == ["digits-0.pt"]


def test_where_the_other_has_come_to_nothing_the_next_takes_it_up(tmp_path, monkeypatch):
    monkeypatch.setattr("bissl_ray.sweep.start._LOOK_S", 0.05)
    for _ in range(2):
        with _alone_at(START, str(tmp_path), _Place(), Seen(), Interrupt()) as alone:
            assert alone
    stopped = Interrupt()
    stopped.ask()
    with _alone_at(START, str(tmp_path), _Place(), Seen(), stopped) as alone:
        assert not alone
