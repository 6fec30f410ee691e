"""Where photographs are augmented changes no bit of a trial's batches, and may be measured."""

from itertools import islice
from typing import Any

import pytest
import torch

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.pretext import PretextTask
from bissl_ray.training.batches import own_collate
from bissl_ray.training.data import TrialData
from bissl_ray.training.worker import alone
from tests.data.tiny.folders import write_tiny_folder

CPU = torch.device("cpu")


def batches(folder: Any, tell: Any = lambda event: None, **chosen: Any) -> list[torch.Tensor]:
    """Both views of three pretext batches, then two labelled ones and the images of one that is scored."""
    settings = Settings(backbone="smallconv", image_size=32, cache_gib=0, **{"loader_processes": 0, **chosen})
    data = TrialData(DataChoice("folder", data_dir=str(folder)), settings, 3, alone(CPU), tell)
    assert data.first_batch_at is None
    with data.pretext_batches("bissl", 8, 2) as drawn:
        found = [view for views in islice(drawn, 3) for view in views]
    assert data.first_batch_at is not None
    with data.labelled("bissl", 8, 0) as drawn:
        found += [tensor for batch in islice(drawn, 2) for tensor in batch]
    found += [next(iter(data.evaluation("validation")))[0]]
    data.close()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_tiny_folder(tmp_path_factory.mktemp("photographs"), per_class=14)


@pytest.mark.parametrize("processes", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("place", ["device", "auto"])
def test_batches_are_the_same_bits_wherever_they_are_made(folder, place, processes) -> None:
    told: list[Any] = []
    expected = batches(folder)
    assert [batch.dtype for batch in expected] == [torch.float32] * 6 + [torch.float32, torch.int64] * 2 + [
        torch.float32
    ]
    found = batches(folder, told.append, augment=place, loader_processes=processes)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    lines = [event.line for event in told if hasattr(event, "line")]
    assert [line.split(" in ")[0] for line in lines] == [
        f"{stream}: photographs are augmented" for stream in ("pretext", "train") if place == "auto"
    ]


@pytest.mark.parametrize("dataset", ["digits", "digits_scenes"])
def test_where_there_is_one_way_only_nothing_is_measured(dataset) -> None:
    """Digits are drawings, and a detector's samples are whole where they are made."""
    told: list[Any] = []
    settings = Settings(backbone="smallconv", image_size=32, cache_gib=0, loader_processes=0, augment="auto")
    data = TrialData(DataChoice(dataset), settings, 3, alone(CPU), told.append)
    with data.labelled("bissl", 4, 0) as drawn:
        next(drawn)
    data.close()
    assert not [event for event in told if "measured" in getattr(event, "line", "")]


class _WithAStaticCollate(PretextTask):
    @staticmethod
    def collate(samples: Any) -> Any:  # type: ignore[override]
        return samples


def test_a_collate_of_a_tasks_own_gets_whole_samples() -> None:
    assert own_collate(PretextTask, PretextTask) is None
    assert own_collate(_WithAStaticCollate, PretextTask) is _WithAStaticCollate.collate
