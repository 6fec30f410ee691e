"""Splits drawn from a seed, with all that makes scoring hard, and a tally of them."""

import torch

from bissl_ray.downstream.detection.found import Found, Truth
from bissl_ray.downstream.detection.tally import DetectionTally

CLASSES = 5
"""Of the scenes: class 3 is only found and never there, class 4 neither."""

CPU = torch.device("cpu")


def tallied(images, classes=CLASSES):
    """A tally that took in pairs of found and truth."""
    tally = DetectionTally(classes, CPU)
    for found, truth in images:
        tally.add(found, truth)
    return tally


def found_of(*detections):
    """Detections from tuples: class, score, left, top, right, bottom."""
    rows = torch.tensor(detections, dtype=torch.float64).reshape(-1, 6)
    return Found(rows[:, 2:], rows[:, 1], rows[:, 0].long())


def truth_of(*objects, crowd=(), difficult=()):
    """Objects from tuples: class, left, top, right, bottom; which of them are crowds, and which are difficult."""
    rows = torch.tensor(objects, dtype=torch.float64).reshape(-1, 5)
    sides = rows[:, 3:] - rows[:, 1:3]
    marks = (torch.tensor([place in marked for place in range(len(rows))], dtype=bool) for marked in (crowd, difficult))
    return Truth(rows[:, 1:], rows[:, 0].long(), *marks, sides.prod(dim=1))


def scenes(seed, images=12):
    """Images of 0 to 6 objects of all sizes, some ignored, with good, poor, double and wrong detections.

    Of every second seed scores have one decimal, so that many are equal; that of seed 0 has 120 detections of one
    class in one image, of which COCO counts 100.
    """
    draw = torch.Generator().manual_seed(seed)
    split = [_scene(draw, ties=seed % 2 == 0) for _ in range(images)]
    if seed == 0:
        boxes = _boxes(120, draw)
        many = Found(boxes, torch.rand(120, generator=draw).double(), torch.zeros(120).long())
        split[3] = (many, _objects(boxes[:30], torch.zeros(30).long(), draw))
    return split


def _scene(draw, ties):
    truths = int(torch.randint(7, (1,), generator=draw))
    objects = _objects(_boxes(truths, draw), torch.randint(3, (truths,), generator=draw), draw)
    near = torch.randint(max(truths, 1), (int(torch.randint(2 * truths + 1, (1,), generator=draw)),), generator=draw)
    sides = (objects.boxes[near, 2:] - objects.boxes[near, :2]).repeat(1, 2)
    spread = 0.25 * torch.rand(len(near), 1, generator=draw).double()
    moved = objects.boxes[near] + sides * spread * torch.randn(len(near), 4, generator=draw).double().clamp(-2, 2)
    elsewhere = _boxes(int(torch.randint(4, (1,), generator=draw)), draw)
    boxes = torch.cat([moved, elsewhere])
    classes = torch.cat([objects.classes[near], torch.randint(4, (len(elsewhere),), generator=draw)])
    scores = torch.rand(len(boxes), generator=draw).double()
    return Found(boxes, scores.mul(10).round().div(10) if ties else scores, classes), objects


def _objects(boxes, classes, draw):
    crowd, difficult = torch.rand(2, len(boxes), generator=draw) < 0.12
    filled = 0.3 + 0.7 * torch.rand(len(boxes), generator=draw).double()
    return Truth(boxes, classes, crowd, difficult, (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) * filled)


def _boxes(count, draw):
    """Sides from 6 to 300 pixels, in an image of 500: of all three sizes."""
    sides = 6 * 50 ** torch.rand(count, 2, generator=draw).double()
    corner = (500 - sides) * torch.rand(count, 2, generator=draw).double()
    return torch.cat([corner, corner + sides], dim=1)
