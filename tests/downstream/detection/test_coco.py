"""COCO's figures against pycocotools itself, handed the same detections as the dictionaries of its files."""

import contextlib
import io
import json

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bissl_ray.downstream.detection.coco import COCO_FIGURES
from tests.downstream.detection.scenes import CLASSES, found_of, scenes, tallied, truth_of

pytestmark = pytest.mark.slow


def by_pycocotools(split, only_class=None):
    """What COCOeval sums up as AP, by the name of the figure; those that it gives as -1 are left out."""
    objects, detections = [], []
    for image, (found, truth) in enumerate(split):
        for box, number, ignored, area in zip(truth.boxes, truth.classes, truth.ignored, truth.areas, strict=True):
            facts = {"id": len(objects) + 1, "iscrowd": int(ignored), "area": float(area)}
            objects.append({**located(image, number, box), **facts})
        for box, score, number in zip(*found, strict=True):
            detections.append({**located(image, number, box), "score": float(score)})
    file = {
        "info": {},
        "images": [{"id": image} for image in range(len(split))],
        "categories": [{"id": number} for number in range(CLASSES)],
        "annotations": objects,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = json.loads(json.dumps(file))
        truth.createIndex()
        if detections:
            found = truth.loadRes(json.loads(json.dumps(detections)))
        judge = COCOeval(truth, found, "bbox")
        if only_class is not None:
            judge.params.catIds = [only_class]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {name: float(value) for name, value in zip(COCO_FIGURES, judge.stats, strict=False) if value >= 0}


def located(image, number, box):
    left, top, right, bottom = box.tolist()
    return {"image_id": image, "category_id": int(number), "bbox": [left, top, right - left, bottom - top]}


def exactly(figures):
    return pytest.approx(figures, rel=0, abs=1e-9)


@pytest.mark.parametrize("seed", range(16))
def test_figures_are_those_of_pycocotools(seed):
    split = scenes(seed)
    found = tallied(split).figures()
    assert {name: found[name] for name in COCO_FIGURES if name in found} == exactly(by_pycocotools(split))
    assert 0.05 < found["ap"] < 0.95


@pytest.mark.parametrize("seed", [0, 1])
def test_those_of_a_class_are_pycocotools_on_it(seed):
    split = scenes(seed)
    for row in tallied(split).by_class():
        alone = by_pycocotools(split, row.number)
        assert {"ap": row.ap, "ap50": row.ap50} == (
            exactly({name: alone[name] for name in ("ap", "ap50")}) if alone else {"ap": None, "ap50": None}
        )


SMALL, LARGE = (0, 10, 10, 20, 20), (0, 100, 100, 300, 300)
RIGHT = (0, 0.9, 100, 100, 300, 300)


@pytest.mark.parametrize(
    ("split", "sizes"),
    [
        ([(found_of(RIGHT), truth_of(LARGE))], {"ap_large": 1}),
        ([(found_of(RIGHT), truth_of(LARGE, SMALL))], {"ap_small": 0, "ap_large": 1}),
        ([(found_of(), truth_of(LARGE)), (found_of(RIGHT), truth_of())], {"ap_large": 0}),
        ([(found_of(), truth_of()), (found_of(), truth_of(SMALL, LARGE))], {"ap_small": 0, "ap_large": 0}),
        # A mask of no area, as an annotation may have it, is small, however large its box.
        ([(found_of(RIGHT), truth_of(LARGE)._replace(areas=0 * truth_of(LARGE).areas))], {"ap_small": 1}),
    ],
    ids=["one size", "two sizes", "found elsewhere", "nothing found", "no area"],
)
def test_a_size_without_objects_has_no_figure(split, sizes):
    found = tallied(split).figures()
    assert {name: found[name] for name in COCO_FIGURES if name in found} == exactly(by_pycocotools(split))
    assert {name: value for name, value in found.items() if name in COCO_FIGURES[3:]} == exactly(sizes)
