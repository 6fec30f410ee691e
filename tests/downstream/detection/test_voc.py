"""VOC's figures against the development kit's algorithm told detection by detection, and numbers by hand."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from bissl_ray.downstream.detection.voc import average_precision
from tests.downstream.detection.scenes import CLASSES, found_of, scenes, tallied, truth_of

pytestmark = pytest.mark.slow


def overlap(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (one, other)]
    return width * height / (sum(areas) - width * height)


def curve_by_hand(split, number):
    """Recall and precision behind each detection of a class, in fractions; and how many objects there are to find."""
    ranked = sorted(
        (
            (score, image, box)
            for image, (found, _) in enumerate(split)
            for box, score, of_class in zip(*(column.tolist() for column in found), strict=True)
            if of_class == number
        ),
        key=lambda detection: -detection[0],
    )
    objects = {
        image: [
            (box, ignored)
            for box, of_class, ignored in zip(
                truth.boxes.tolist(), truth.classes.tolist(), truth.ignored.tolist(), strict=True
            )
            if of_class == number
        ]
        for image, (_, truth) in enumerate(split)
    }
    positives = sum(not ignored for those in objects.values() for _, ignored in those)
    taken, right, wrong, curve = set(), 0, 0, []
    for _, image, box in ranked:
        best, place = max(
            ((overlap(box, other), -place) for place, (other, _) in enumerate(objects[image])), default=(0.0, 0)
        )
        if best >= 0.5:
            if not objects[image][-place][1]:
                right += (image, place) not in taken
                wrong += (image, place) in taken
                taken.add((image, place))
        else:
            wrong += 1
        if positives and right + wrong:
            curve.append((Fraction(right, positives), Fraction(right, right + wrong)))
    return curve, positives


def eleven_points(curve):
    return float(sum(max((p for r, p in curve if r >= Fraction(t, 10)), default=0) for t in range(11)) / 11)


def area(curve):
    """The sum over the recalls that occur of the step to it times the highest precision from there on."""
    recalls = sorted({recall for recall, _ in curve} | {Fraction(0)})
    steps = pairwise(recalls)
    return float(sum((after - before) * max(p for r, p in curve if r >= after) for before, after in steps))


@pytest.mark.parametrize("seed", range(16))
def test_figures_are_those_of_the_kit(seed):
    split = scenes(seed)
    tally, expected = tallied(split), []
    for number, row in enumerate(tally.by_class()):
        curve, positives = curve_by_hand(split, number)
        assert (row.number, row.objects) == (number, positives)
        if positives:
            expected.append((eleven_points(curve), area(curve)))
            assert (row.voc07_ap50, row.voc12_ap50) == pytest.approx(expected[-1], rel=0, abs=1e-12)
        else:
            assert row.voc07_ap50 is row.voc12_ap50 is None
    found = tally.figures()
    means = [sum(column) / len(expected) for column in zip(*expected, strict=True)]
    assert [found["voc07_ap50"], found["voc12_ap50"]] == pytest.approx(means, rel=0, abs=1e-12)
    assert 0 < len(expected) < CLASSES


A, B = (0, 0, 0, 10, 10), (0, 20, 0, 30, 10)
ON_A, ON_B, NOWHERE = A[1:], B[1:], (50, 50, 60, 60)
# Of A's 10 by 10 pixels 5 columns: an IoU of exactly one half; and one that is just less, as float64 can tell.
HALF, LESS = (0, 0, 5, 10), (0, 0, 5 - 1e-9, 10)


@pytest.mark.parametrize(
    ("found", "truth", "eleven", "under"),
    [
        (found_of((0, 0.9, *ON_A), (0, 0.8, *ON_B)), truth_of(A, B), 1, 1),
        (found_of((0, 0.9, *HALF)), truth_of(A), 1, 1),
        (found_of((0, 0.9, *LESS)), truth_of(A), 0, 0),
        (found_of((0, 0.9, *ON_A)), truth_of(A, B), 6 / 11, 1 / 2),
        # Found twice, then the other: the precision is 1, 1/2, 2/3.
        (found_of((0, 0.9, *ON_A), (0, 0.8, *ON_A), (0, 0.7, *ON_B)), truth_of(A, B), (6 + 5 * 2 / 3) / 11, 5 / 6),
        # A wrong one first: 0, 1/2.
        (found_of((0, 0.7, *ON_A), (0, 0.9, *NOWHERE)), truth_of(A), 1 / 2, 1 / 2),
        # Of equals the one that was found first.
        (found_of((0, 0.5, *NOWHERE), (0, 0.5, *ON_A)), truth_of(A), 1 / 2, 1 / 2),
        (found_of((0, 0.5, *ON_A), (0, 0.5, *NOWHERE)), truth_of(A), 1, 1),
        # Found twice, but ignored; and missed, but ignored.
        (found_of((0, 0.9, *ON_B), (0, 0.8, *ON_B), (0, 0.7, *ON_A)), truth_of(A, B, difficult=[1]), 1, 1),
        (found_of((0, 0.9, *ON_B), (0, 0.8, *ON_A)), truth_of(A, B, crowd=[1]), 1, 1),
        (found_of((0, 0.8, *ON_A)), truth_of(A, B, crowd=[1]), 1, 1),
        # Near an ignored one, but not near enough to be ignored.
        (found_of((0, 0.9, *LESS), (0, 0.8, *ON_B)), truth_of(A, B, difficult=[0]), 1 / 2, 1 / 2),
        # It goes with the one that it overlaps most, though another is free.
        (
            found_of((0, 0.9, *ON_A), (0, 0.8, *ON_A)),
            truth_of(A, (0, 0, 0, 10, 9)),
            6 / 11,
            1 / 2,
        ),
    ],
)
def test_numbers_by_hand(found, truth, eleven, under):
    figures = tallied([(found, truth)], 1).figures()
    assert (figures["voc07_ap50"], figures["voc12_ap50"]) == pytest.approx((eleven, under), rel=1e-15)


def test_a_recall_of_three_tenths_reaches_three_tenths():
    # As floats, 3/10 < 3 * 0.1.
    right = np.array([True] * 3 + [False] * 90 + [True] * 7)
    assert average_precision(right, 10)[0] == pytest.approx((4 * 1 + 7 * 10 / 100) / 11, rel=1e-15)
