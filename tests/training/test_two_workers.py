"""Two workers do what one does, and go on after an interruption just as well."""

import pytest
import torch

from bissl_ray.progress import TrialStoppedError
from bissl_ray.training import files
from bissl_ray.training.worker import Worker
from tests.processes import run_workers
from tests.training.small_trial import (
    Reports,
    assert_bit_equal,
    order,
    renamed,
    run,
    saved_models,
    without_clock,
    write_start,
)

pytestmark = pytest.mark.slow

CASES: dict[str, dict[str, object]] = {"simclr": {}, "byol": {"pretext": "byol", "target_momentum": 0.7}}
LOSSES = ("lower_loss", "upper_loss", "direct_loss", "distance", "lower_grad_norm", "train_loss")
# float32 rounding; measured 2e-7, and 2e-6 of a gradient norm.
TOLERANCE = 1e-5


def _cases(rank, world_size, storages):
    files._WRITING_SHARE = 1e12  # every moment to save is taken
    worker = Worker(rank, world_size, torch.device("cpu"))
    return [_whole_and_interrupted(worker, storage, CASES[name]) for name, storage in storages.items()]


def _whole_and_interrupted(worker, storage, changes):
    whole = order(storage, **changes)
    rows = Reports()
    result = run(whole, worker, rows)
    rest = []
    for stop_at in (2, 3, None):  # in the second alternation, then in fine-tuning
        rest = Reports(stop_at)
        try:
            run(renamed(whole, "interrupted"), worker, rest)
        except TrialStoppedError:
            continue
    return result, without_clock(rows), without_clock(rest)


@pytest.fixture(scope="module")
def storages(tmp_path_factory):
    return {name: str(tmp_path_factory.mktemp(name)) for name in CASES}


@pytest.fixture(scope="module")
def of_two(storages):
    """What each of two workers saw, by case."""
    for name, storage in storages.items():
        write_start(storage, **CASES[name])
    return {name: seen for name, *seen in zip(CASES, *run_workers(_cases, 2, storages), strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_two_workers_equal_one(tmp_path, of_two, name):
    write_start(tmp_path, **CASES[name])
    single = Reports()
    expected = run(order(tmp_path, **CASES[name]), reports=single)
    result, rows, _ = of_two[name][0]
    assert result["workers"] == 2
    assert result["hvps"] == expected["hvps"]
    for found, wanted in zip(rows, single, strict=True):
        assert (found["stage"], found.get("epoch")) == (wanted["stage"], wanted.get("epoch"))
        for loss in LOSSES:
            if loss in wanted:
                assert found[loss] == pytest.approx(wanted[loss], rel=TOLERANCE)
        # A score may differ by an image or two whose best classes are as good as equal.
        assert found["objective"] == pytest.approx(wanted["objective"], abs=2.1 / 300)


@pytest.mark.parametrize("name", CASES)
def test_both_workers_know_the_same(of_two, name):
    first, second = of_two[name]
    assert first == second


@pytest.mark.parametrize("name", CASES)
def test_an_interrupted_group_goes_on_to_the_very_same_bits(storages, of_two, name):
    _, rows, rest = of_two[name][0]
    assert 0 < len(rest) < len(rows)
    assert rest == rows[-len(rest) :]
    whole = order(storages[name], **CASES[name])
    assert_bit_equal(saved_models(renamed(whole, "interrupted")), saved_models(whole))
