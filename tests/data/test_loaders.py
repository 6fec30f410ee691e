"""Loaders: the same bits for any number of workers, loader processes and interruptions."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from bissl_ray.data import Labelled, get_dataset
from bissl_ray.data.cache.images import cached_splits
from bissl_ray.data.files.sources import TensorImages
from bissl_ray.data.loaders import Samples, endless_batches, evaluation_batches
from bissl_ray.data.nested import each_tensor, stacked
from bissl_ray.data.sampling import RandomBatches, Share, Stream, steps_per_epoch
from bissl_ray.data.spec import UNCERTAIN
from bissl_ray.errors import BadInputError
from tests.data.batches import pretext_batches, scored_batches, train_batches
from tests.data.tiny.cars import write_tiny_cars

pytestmark = pytest.mark.slow

DIGITS, CARS = get_dataset("digits"), get_dataset("cars")
ARGUMENTS = {"image_size": 16, "batch": 20, "seed": 5}


@pytest.fixture(scope="module")
def splits():
    return DIGITS.open(None)


def first(batches, count: int) -> list[tuple[Tensor, Tensor]]:
    taken = list(islice(batches, count))
    batches.close()
    return taken


def equal(one, other) -> bool:
    return len(one) == len(other) and all(
        torch.equal(x, y) for pair, twin in zip(one, other, strict=True) for x, y in zip(pair, twin, strict=True)
    )


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("make", [pretext_batches, train_batches])
def test_photographs_are_drawn_alike_by_any_number_of_workers_and_processes(tmp_path: Path, make, cached: bool) -> None:
    splits = CARS.open(write_tiny_cars(tmp_path))
    source = cached_splits(splits, 1.0, None).train if cached else splits.train
    arguments = {"image_size": 32, "batch": 8, "seed": 4}
    alone = first(make(splits.train, CARS, **arguments), 4)
    for workers, processes in ((1, 2), (2, 1), (4, 0)):
        shares = [
            first(make(source, CARS, rank=rank, world_size=workers, processes=processes, **arguments), 4)
            for rank in range(workers)
        ]
        together = [tuple(torch.cat(parts) for parts in zip(*step, strict=True)) for step in zip(*shares, strict=True)]
        assert equal(together, alone)
    # No two images, workers or steps draw the same view, and another seed draws others.
    images = torch.cat([images for images, _ in alone]).flatten(1)
    assert len(images.unique(dim=0)) == len(images)
    (other, _), *_ = first(make(source, CARS, **{**arguments, "seed": 5}), 1)
    assert not torch.equal(other, alone[0][0])


def test_images_of_several_classes_have_a_number_per_class(tmp_path: Path) -> None:
    splits = CARS.open(write_tiny_cars(tmp_path))
    labels = [(number % 2, 1, UNCERTAIN) for number in range(len(splits.test))]
    several = Labelled(splits.test.images, labels)
    drawn, shown = next(train_batches(several, CARS, image_size=16, batch=5, seed=0))
    assert drawn.shape == (5, 3, 16, 16) and shown.shape == (5, 3) and shown.dtype == torch.int64
    scored = [labels for _, labels in scored_batches(several, CARS, image_size=16, batch=5)]
    assert torch.cat(scored).tolist() == [list(label) for label in labels]


@pytest.mark.parametrize("make", [pretext_batches, train_batches])
@pytest.mark.parametrize("workers", [2, 4])
def test_workers_together_see_what_one_worker_sees(splits, make, workers: int) -> None:
    alone = first(make(splits.train, DIGITS, **ARGUMENTS), 7)
    shares = [
        first(make(splits.train, DIGITS, rank=rank, world_size=workers, **ARGUMENTS), 7) for rank in range(workers)
    ]
    together = [tuple(torch.cat(parts) for parts in zip(*step, strict=True)) for step in zip(*shares, strict=True)]
    assert equal(together, alone)


def test_every_worker_sees_other_images_and_every_image_once_an_epoch() -> None:
    streams = [islice(RandomBatches(100, Stream("train", 5, 21), Share(rank, 4)), 10) for rank in range(4)]
    keys = [key for stream in streams for share in stream for key in share]
    assert len(keys) == 200  # 21 is rounded down to 20, five steps an epoch
    assert Counter(epoch for epoch, _ in keys) == {0: 100, 1: 100}
    assert len(set(keys)) == 200


def test_the_incomplete_last_batch_of_an_epoch_is_left_out() -> None:
    shares = list(islice(RandomBatches(10, Stream("train", 0, 4)), 4))
    assert [epoch for share in shares for epoch, _ in share] == [0] * 8 + [1] * 8
    assert steps_per_epoch(range(10), 4) == 2
    assert steps_per_epoch(range(10), 1024, world_size=3) == 1


@pytest.mark.parametrize("make", [pretext_batches, train_batches])
@pytest.mark.parametrize("step", [3, 5, 12])
def test_resuming_continues_exactly(splits, make, step: int) -> None:
    whole = first(make(splits.train, DIGITS, **ARGUMENTS), step + 3)
    assert equal(first(make(splits.train, DIGITS, first_step=step, **ARGUMENTS), 3), whole[step:])


def test_views_images_epochs_and_seeds_draw_differently(splits) -> None:
    one_image = {"image_size": 16, "batch": 1}
    same_picture = TensorImages(splits.train[0][0].repeat(2, 1, 1, 1))
    (view, other_view), (twin, _), (later, _) = first(pretext_batches(same_picture, DIGITS, seed=0, **one_image), 3)
    ((reseeded, _),) = first(pretext_batches(same_picture, DIGITS, seed=1, **one_image), 1)
    crops = [view, other_view, twin, later, reseeded]
    assert all(not torch.equal(crops[i], crops[j]) for i in range(5) for j in range(i))


def test_training_keeps_its_own_random_numbers(splits) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    first(train_batches(splits.train, DIGITS, **ARGUMENTS), 2)
    list(scored_batches(splits.train, DIGITS, image_size=16, batch=50))
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("workers", [1, 3])
def test_evaluation_covers_every_image_once(splits, workers: int) -> None:
    loaders = [
        scored_batches(splits.test, DIGITS, image_size=8, batch=64, rank=rank, world_size=workers)
        for rank in range(workers)
    ]
    batches = [batch for loader in loaders for batch in loader]
    assert torch.cat([labels for _, labels in batches]).tolist() == splits.test.targets
    images = torch.cat([images for images, _ in batches])
    assert images.shape == (597, 3, 8, 8)
    assert len(images.flatten(1).unique(dim=0)) == 597
    assert max(len(labels) for _, labels in batches) <= 64 // workers


def test_evaluation_with_more_workers_than_images(splits) -> None:
    few = splits.test.select([0, 1])
    sizes = [
        sum(len(labels) for _, labels in scored_batches(
            few, DIGITS, image_size=8, batch=8, rank=rank, world_size=4
        ))
        for rank in range(4)
    ]  # fmt: skip
    assert sum(sizes) == 2 and 0 in sizes


def test_evaluation_can_be_repeated(splits) -> None:
    loader = scored_batches(splits.validation, DIGITS, image_size=8, batch=100)
    assert equal(list(loader), list(loader))


class Frames:
    """Images of many sizes."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Tensor:
        return torch.full((3, 4 + index, 5), index, dtype=torch.uint8)


def apart(samples) -> dict[str, object]:
    return {"frames": list(samples), "count": len(samples)}


@pytest.mark.parametrize("processes", [0, 1])
def test_a_batch_is_what_its_collate_makes_of_images_of_any_size(processes: int) -> None:
    samples = Samples(Frames(), torch.clone, apart)
    (drawn,) = first(endless_batches(samples, Stream("frames", 0, 4), processes=processes), 1)
    assert drawn["count"] == 4 and all(frame.shape == (3, 4 + frame[0, 0, 0], 5) for frame in drawn["frames"])
    once = [frame for batch in evaluation_batches(samples, 4, processes=processes) for frame in batch["frames"]]
    assert [int(frame[0, 0, 0]) for frame in once] == list(range(10))


class Pair(NamedTuple):
    first: Tensor
    rest: list[Tensor]


def test_samples_are_stacked_and_tensors_changed_member_by_member() -> None:
    samples = [{"image": torch.full((2,), n), "sides": (torch.tensor(n), torch.tensor(-n))} for n in (1, 2)]
    batch = stacked(samples)
    assert batch["image"].tolist() == [[1, 1], [2, 2]]
    assert [side.tolist() for side in batch["sides"]] == [[1, 2], [-1, -2]]
    nest = {"a": Pair(torch.tensor(1), [torch.tensor(2)]), "b": ("text", None, torch.tensor(3))}
    changed = each_tensor(nest, lambda tensor: tensor + 1)
    assert changed == {"a": Pair(torch.tensor(2), [torch.tensor(3)]), "b": ("text", None, torch.tensor(4))}
    assert isinstance(changed["a"], Pair)


def test_loader_processes_change_nothing_and_end_on_close(tmp_path: Path) -> None:
    splits = CARS.open(write_tiny_cars(tmp_path))
    arguments = {"image_size": 32, "batch": 8, "seed": 1, "first_step": 1}
    alone = first(pretext_batches(splits.pretext, CARS, **arguments), 4)
    batches = pretext_batches(splits.pretext, CARS, processes=2, **arguments)
    assert equal(list(islice(batches, 4)), alone)
    started = [process.pid for process in batches._batches._workers]
    assert len(started) == 2 and all(alive(process) for process in started)
    batches.close()
    assert gone(started)

    once = list(scored_batches(splits.test, CARS, image_size=32, batch=5))
    loader = scored_batches(splits.test, CARS, image_size=32, batch=5, processes=1)
    assert equal(list(loader), once) and equal(list(loader), once)
    loader.close()

    damaged = tmp_path / "stanford_cars" / "cars_test" / "00007.jpg"
    damaged.write_bytes(b"nothing")
    for processes in (0, 1):
        with pytest.raises(BadInputError) as caught:
            list(scored_batches(splits.test, CARS, image_size=32, batch=5, processes=processes))
        assert str(caught.value).startswith(f"{damaged}: this image can't be decoded") and "\n" not in str(caught.value)


KILLED = """
import sys
from bissl_ray.data import get_dataset
from tests.data.batches import train_batches
if __name__ == "__main__":
    spec = get_dataset("digits")
    batches = train_batches(spec.open(None).train, spec, image_size=16, batch=10, seed=0, processes=2)
    next(batches)
    print(*(process.pid for process in batches._batches._workers), flush=True)
    sys.stdin.read()
"""


def test_loader_processes_end_when_their_worker_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    root = str(Path(__file__).parents[2])
    worker = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert worker.stdout is not None and worker.stdin is not None
    started = [int(process) for process in worker.stdout.readline().split()]
    assert len(started) == 2 and all(alive(process) for process in started)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert gone(started)
    worker.stdin.close()
    worker.stdout.close()


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended but waits for its parent counts as ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(processes: list[int]) -> bool:
    patience = 300
    while any(alive(process) for process in processes) and patience:
        time.sleep(0.1)
        patience -= 1
    return patience > 0


@pytest.mark.parametrize("arguments", [{"batch": 2, "world_size": 4}, {"batch": 256, "world_size": 101}])
def test_a_batch_that_leaves_a_worker_empty_is_refused(splits, arguments) -> None:
    with pytest.raises(BadInputError, match="raise the batch or use fewer workers"):
        train_batches(splits.train, DIGITS, image_size=16, seed=0, **arguments)


def test_images_are_prepared_on_one_thread_and_batches_used_on_all() -> None:
    seen = []

    def prepare(image: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return image

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        samples = Samples(TensorImages(torch.zeros(8, 3, 4, 4, dtype=torch.uint8)), prepare)
        first(endless_batches(samples, Stream("pretext", 0, 4)), 2)
        assert seen == [1] * 8 and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
