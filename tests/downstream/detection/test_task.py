"""The task detection as the rest of the program sees it."""

import numpy as np
import pytest
import torch
from PIL import Image

from bissl_ray.config.settings import Settings
from bissl_ray.data import get_dataset
from bissl_ray.data.objects import Objects
from bissl_ray.downstream import check_task, downstream_task, judged_by
from bissl_ray.downstream.detection.sampling import KeyedSampler
from bissl_ray.downstream.detection.task import DetectionTask
from bissl_ray.errors import BadInputError
from tests.downstream.detection.given import CLASSES, Tiny, backbone_named, samples, scenes, settings, task_for
from tests.processes import run_workers

pytestmark = pytest.mark.slow

SPEC = get_dataset("digits_scenes")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"backbone": "vit_ti_16", "image_size": 32},
            "backbone is vit_ti_16, and the detector that Digit scenes needs",
        ),
        ({"backbone": "convnext_tiny", "image_size": 32}, "take one of torchvision's, such as resnet50"),
        ({"detector": "fpn"}, "detector is fpn with backbone smallconv; expected one whose parts halve the resolution"),
        ({"detector": "fpn", "backbone": "resnet18"}, r"anchors of 8, 16, 32 pixels .* make anchor_high 16 times"),
        ({"objective": "top1"}, "objective is 'top1', expected one of its task detection: ap, ap50, ap75"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_starts(changes, message):
    with pytest.raises(BadInputError, match=message):
        check_task(SPEC, settings(**changes))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"anchor_low": 64, "anchor_high": 32}, "found anchor_low = 64 with anchor_high = 32, expected at most 32"),
        ({"detection_side": 100}, "found detection_side_low = 196 with detection_side = 100, expected at most 100"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Settings(**values)


@pytest.mark.parametrize("name", ["smallconv", "resnet18", "resnet50", "wide_resnet50_2", "resnext50_32x4d"])
def test_residual_networks_and_smallconv_are_taken(name):
    check_task(SPEC, settings(backbone=name))
    check_task(SPEC, settings(backbone="resnet34", detector="fpn", anchor_high=128))


@pytest.mark.parametrize("name", ["smallconv", "resnet18", "resnet50", "resnext50_32x4d"])
def test_a_backbone_is_its_parts_one_after_another(name):
    backbone = backbone_named(name).float().eval()
    images = torch.randn(2, 3, 64, 96)
    activations = images
    for part in backbone.parts:
        activations = backbone.through(part, activations)
        stride = backbone.strides[part]
        assert activations.shape == (2, backbone.channels[part], 64 // stride, 96 // stride)
    torch.testing.assert_close(activations.mean(dim=(2, 3)), backbone(images))


def test_the_objective_is_the_datasets_own_or_the_one_asked_for():
    assert judged_by(SPEC, None).name == SPEC.metric
    assert judged_by(SPEC, "voc07_ap50").objective_name == "validation_voc07_ap50"
    assert downstream_task("detection") is DetectionTask


def test_what_is_found_in_an_image_does_not_depend_on_its_batch():
    backbone = Tiny().double().eval()
    task = task_for(backbone).eval()
    together = task.find(backbone, scenes(6))
    for number, sample in enumerate(samples(6)):
        alone = task.find(backbone, task.collate([sample]))[0]
        assert len(alone.scores) > 0
        torch.testing.assert_close(alone, together[number], rtol=1e-9, atol=1e-9)


def test_what_is_found_lies_in_the_annotated_image():
    """An image that was annotated at twice its size has everything at twice the place."""
    backbone = Tiny().double().eval()
    task = task_for(backbone).eval()
    batch = scenes()
    once, twice = task.find(backbone, batch), task.find(backbone, batch._replace(annotated=2 * batch.annotated))
    for one, other in zip(once, twice, strict=True):
        torch.testing.assert_close(2 * one.boxes, other.boxes)


def figures(rank, count):
    torch.manual_seed(6)
    backbone = Tiny().double()
    task = task_for(backbone)
    own = samples(6)[6 * rank // count : 6 * (rank + 1) // count]
    batches = [task.collate([each]) for each in own]
    found = task.scores(backbone, batches)
    return found.figures, found.by_class, task.training


@pytest.mark.parametrize("count", [2, 3])
def test_a_split_has_the_same_figures_on_any_number_of_workers(count):
    alone = figures(0, 1)
    assert alone[2]  # each module's mode is put back
    assert {"ap", "ap50", "ap75", "voc07_ap50", "voc12_ap50"} <= alone[0].keys()
    assert alone[1].keys() == {"ap", "ap50", "voc07_ap50", "voc12_ap50", "objects"}
    assert all(len(column) == CLASSES for column in alone[1].values())
    assert run_workers(figures, count) == [alone] * count


def test_the_sampler_chooses_as_torchvisions_does():
    """As many of either kind, and none that is to be ignored; each image by its own key."""
    sampler = KeyedSampler(8, 0.5)
    labels = [torch.tensor([1.0] * 10 + [0.0] * 10 + [-1.0] * 10), torch.tensor([1.0] * 2 + [0.0] * 30)]
    sampler.keys = [7, 8]
    positive, negative = sampler(labels)
    assert [int(each.sum()) for each in positive] == [4, 2] and [int(each.sum()) for each in negative] == [4, 6]
    assert not (positive[0] | negative[0])[20:].any() and not (positive[0] & negative[0]).any()
    sampler.keys = [8]
    assert torch.equal(sampler(labels[1:])[0][0], positive[1]) and torch.equal(sampler(labels[1:])[1][0], negative[1])


def test_a_picture_has_the_truth_beside_what_is_found():
    backbone = Tiny().float()
    task = DetectionTask.build(backbone, CLASSES, settings())
    none = np.zeros(1, bool)
    objects = Objects(np.array([[0.25, 0.25, 0.75, 0.75]]), np.array([1]), none, none, np.ones(1), 40, 60, "a")
    photograph = Image.new("RGB", (60, 40), "grey")
    drawn = task.picture(backbone, photograph, objects, SPEC, ["cat", "dog", "owl"])
    assert drawn.width > 2 * drawn.height and drawn.mode == "RGB"
    left, right = (np.asarray(drawn)[:, half] for half in (slice(0, 480), slice(488, None)))
    assert {tuple(pixel) for pixel in left.reshape(-1, 3)} - {tuple(pixel) for pixel in right.reshape(-1, 3)}
    assert task.training
