"""Average precision against scikit-learn, a plain reading of the VOC2007 development kit, and numbers by hand."""

from fractions import Fraction

import pytest
import torch
from sklearn.metrics import average_precision_score

from bissl_ray.data.spec import UNCERTAIN
from bissl_ray.downstream.multi_label import RankingTally, average_precision
from bissl_ray.errors import BadInputError
from tests.processes import run_workers

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def eleven_points_by_hand(scores, shown):
    """The highest precision at a recall of at least t, mean over t = 0, 0.1, ..., 1; at thresholds, in fractions."""
    curve = []
    for threshold in sorted(set(scores), reverse=True):
        above = [hit for score, hit in zip(scores, shown, strict=True) if score >= threshold]
        curve.append((Fraction(sum(above), sum(shown)), Fraction(sum(above), len(above))))
    return float(sum(max(p for r, p in curve if r >= Fraction(t, 10)) for t in range(11)) / 11)


def test_numbers_by_hand():
    # Ranked: hit, miss, hit, miss, miss: precision 1 at recall 1/2 and 2/3 at recall 1.
    scores, shown = torch.tensor([0.9, 0.8, 0.7, 0.2, 0.1]), torch.tensor([True, False, True, False, False])
    found = average_precision(scores, shown)
    assert found.eleven_points == pytest.approx((6 * 1 + 5 * 2 / 3) / 11, rel=1e-15)
    assert found.all_points == pytest.approx(1 / 2 + (2 / 3) / 2, rel=1e-15)


def test_a_recall_of_three_tenths_reaches_three_tenths():
    # Ten positives, three of them first and the others behind many: as floats, 3/10 < 3 * 0.1.
    shown = torch.tensor([True] * 3 + [False] * 90 + [True] * 7)
    found = average_precision(torch.arange(100, 0, -1).double(), shown)
    assert found.eleven_points == pytest.approx((4 * 1 + 7 * 10 / 100) / 11, rel=1e-15)


@pytest.mark.parametrize("levels", [3, 20, 10**6], ids=["many equals", "some equals", "none"])
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_random_rankings_equal_the_references(levels, share):
    generator = torch.Generator().manual_seed(levels)
    for images in (1, 7, 150):
        scores = torch.randint(levels, (images,), generator=generator).double() / levels
        shown = torch.rand(images, generator=generator) < share
        shown[0] = True
        found = average_precision(scores, shown)
        assert found.all_points == pytest.approx(average_precision_score(shown.numpy(), scores.numpy()), rel=1e-12)
        assert found.eleven_points == pytest.approx(eleven_points_by_hand(scores.tolist(), shown.tolist()), rel=1e-12)


def test_the_order_of_equals_has_no_say():
    shown = torch.tensor([True, False, False, True])
    ends = [average_precision(torch.zeros(4), shown[order]) for order in ([0, 3, 1, 2], [1, 2, 0, 3])]
    assert ends[0] == ends[1] == (0.5, 0.5)


def some_labels():
    """Thirty images, five classes: the last is never shown, the third is uncertain in half of the images."""
    generator = torch.Generator().manual_seed(4)
    labels = (torch.rand(30, 5, generator=generator) < 0.3).long()
    labels[:, 4] = 0
    labels[::2, 2] = UNCERTAIN
    # Quarters, so that many scores are equal, also across workers.
    return (torch.randn(30, 5, generator=generator) * 4).round() / 4, labels


def by_reference():
    scores, labels = some_labels()
    counted = [labels[:, c] != UNCERTAIN for c in range(4)]
    pairs = [(scores[rows, c], (labels[rows, c] == 1)) for c, rows in enumerate(counted)]
    return {
        "map11": sum(eleven_points_by_hand(s.tolist(), shown.tolist()) for s, shown in pairs) / 4,
        "map": sum(average_precision_score(shown.numpy(), s.numpy()) for s, shown in pairs) / 4,
    }


def test_means_are_over_the_classes_that_are_shown_and_the_images_that_count():
    tally = RankingTally(5, CPU)
    scores, labels = some_labels()
    for part in (slice(0, 4), slice(4, 5), slice(5, 30)):
        tally.add(scores[part].float(), labels[part])
    assert tally.figures() == pytest.approx(by_reference(), rel=1e-12)


SHARES = {2: [[30, 0], [7, 23], [0, 30]], 4: [[0, 3, 0, 27], [8, 7, 8, 7], [1, 0, 0, 29]]}


def tallied(rank, workers):
    found = []
    for sizes in SHARES[workers]:
        scores, labels = (table.split(sizes)[rank] for table in some_labels())
        tally = RankingTally(5, CPU)
        for batch in zip(scores.split(5), labels.split(5), strict=True) if len(scores) else []:
            tally.add(*batch)
        found.append(tally.figures())
    return found


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_with_uneven_and_empty_shares_find_the_very_same_figures(workers):
    tally = RankingTally(5, CPU)
    tally.add(*some_labels())
    alone = tally.figures()
    assert run_workers(tallied, workers) == [[alone] * 3] * workers


def test_what_has_no_meaning_is_refused():
    with pytest.raises(BadInputError, match="no images to evaluate"):
        RankingTally(3, CPU).figures()
    tally = RankingTally(3, CPU)
    tally.add(torch.zeros(2, 3), torch.tensor([[0, 0, UNCERTAIN], [0, 0, 0]]))
    with pytest.raises(BadInputError, match="none of 2 images shows any of 3 classes"):
        tally.figures()
