import math

import pytest
import torch

from bissl_ray.downstream.detection.found import Found
from bissl_ray.errors import BadInputError
from bissl_ray.metrics import METRICS
from tests.downstream.detection.scenes import CLASSES, found_of, scenes, tallied, truth_of
from tests.processes import run_workers

pytestmark = pytest.mark.slow


def perfect(truth):
    """Every object as a detection, the first the likeliest."""
    return Found(truth.boxes, torch.linspace(1, 0.5, len(truth.classes)), truth.classes)


def test_perfect_detections_are_worth_1_and_class_swapped_ones_nothing():
    """Average precision that doesn't look at the class would give both the same."""
    split = [(perfect(truth), truth) for _, truth in scenes(5)]
    found = tallied(split).figures()
    assert found == pytest.approx(dict.fromkeys(found, 1), abs=1e-12)
    swapped = [(found._replace(classes=(found.classes + 1) % 3), truth) for found, truth in split]
    assert all(value < 0.02 for value in tallied(swapped).figures().values())


def test_the_means_over_classes_are_the_figures():
    tally = tallied(scenes(2))
    rows, figures = tally.by_class(), tally.figures()
    for name in ("ap", "ap50", "voc07_ap50", "voc12_ap50"):
        of_classes = [getattr(row, name) for row in rows if row.objects]
        assert figures[name] == math.fsum(of_classes) / len(of_classes)
    assert [row.number for row in rows if not row.objects] == [3, 4]
    assert set(figures) <= set(METRICS)


def test_a_detection_that_is_no_number_is_none():
    right = (0, 0.5, 0, 0, 10, 10)
    wrong = [(0, math.nan, *right[2:]), (0, 0.9, math.nan, 0, 10, 10), (0, 0.9, 0, 0, 10, math.inf)]
    figures = tallied([(found_of(*wrong, right), truth_of((0, 0, 0, 10, 10)))], 1).figures()
    assert figures == pytest.approx(dict.fromkeys(figures, 1), abs=1e-12)


def test_figures_stand_once_they_were_taken():
    split = scenes(1)
    tally = tallied(split)
    tally.figures()
    with pytest.raises(RuntimeError, match="begin another tally"):
        tally.add(*split[0])


UNSCORABLE = {
    "no images to evaluate": [],
    "2 images without any object to find, 0 that are crowds": [(found_of((0, 0.9, 0, 0, 9, 9)), truth_of())] * 2,
    "1 images without any object to find, 2 that are": [
        (found_of(), truth_of((0, 0, 0, 9, 9), (1, 0, 0, 9, 9), crowd=[0], difficult=[1]))
    ],
}


@pytest.mark.parametrize("message", UNSCORABLE)
def test_what_has_no_meaning_is_refused(message):
    with pytest.raises(BadInputError, match=message):
        tallied(UNSCORABLE[message]).figures()


SHARES = {2: [(12, 0), (0, 12), (5, 7)], 3: [(4, 0, 8), (1, 10, 1)]}


def scored(rank, workers):
    """The figures by all shares, and what each split is refused with where it can't be scored."""
    found = []
    for sizes in SHARES[workers]:
        begin = sum(sizes[:rank])
        tally = tallied(scenes(0)[begin : begin + sizes[rank]])
        found.append((tally.figures(), tally.by_class()))
    refused = []
    for split in UNSCORABLE.values():
        with pytest.raises(BadInputError) as caught:
            tallied(split[rank : rank + 1]).figures()
        refused.append(str(caught.value))
    unknown = truth_of((CLASSES, 0, 0, 9, 9))
    with pytest.raises((RuntimeError, IndexError)) as failed:
        tallied([(found_of(), unknown)]).figures()
    return found, refused, str(failed.value)


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_find_the_very_same_figures_and_fail_alike(workers):
    tally = tallied(scenes(0))
    alone = (tally.figures(), tally.by_class())
    for rank, (found, refused, failed) in enumerate(run_workers(scored, workers)):
        assert found == [alone] * len(SHARES[workers])
        assert all(text.startswith(message) for text, message in zip(refused, UNSCORABLE, strict=True))
        assert rank == 0 or failed.startswith("worker 0 failed")
