"""Write tiny datasets in COCO's form: real JPEGs with squares, discs and triangles on textured ground, learnable."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("square", "disc", "triangle")
COLOURS = ((225, 60, 50), (60, 200, 90), (70, 110, 235))
SIDE = 64
PER_PART = {"train": 24, "val": 8, "test": 8}
CATEGORY_IDS = (3, 7, 11)

LAYOUTS: dict[str, tuple[str, str]] = {
    "published": ("annotations/instances_{0}2017.json", "{0}2017"),
    "images": ("annotations/{0}.json", "images"),
    "images by part": ("annotations/instances_{0}.json", "images/{0}"),
    "roboflow": ("{0}/_annotations.coco.json", "{0}"),
    "one file": ("annotations.json", "pictures"),
}
"""Where the annotations and the images of a part lie."""


def draw_scene(draw: np.random.RandomState, side: int = SIDE) -> tuple[Image.Image, list[tuple[int, list[float]]]]:
    """Draw 1 to 3 shapes that don't overlap; returns the class and the box [left, top, width, height] of each."""
    coarse = draw.uniform(70, 150, (side // 8, side // 8, 3)).astype(np.uint8)
    noise = draw.normal(0, 10, (side, side, 3))
    ground = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)) + noise
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    canvas = ImageDraw.Draw(image)
    half = side // 2
    cells = draw.permutation(4)[: draw.randint(1, 4)]
    objects = []
    for cell in cells.tolist():
        label, size = int(draw.randint(3)), int(draw.randint(half // 2, half - 2))
        left = half * (cell % 2) + int(draw.randint(half - size))
        top = half * (cell // 2) + int(draw.randint(half - size))
        right, bottom = left + size - 1, top + size - 1
        if SHAPES[label] == "square":
            canvas.rectangle((left, top, right, bottom), COLOURS[label])
        elif SHAPES[label] == "disc":
            canvas.ellipse((left, top, right, bottom), COLOURS[label])
        else:
            canvas.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], COLOURS[label])
        objects.append((label, [float(left), float(top), float(size), float(size)]))
    return image, objects


def write_tiny_coco(
    root: Path,
    per_part: Mapping[str, int] | None = None,
    layout: str = "published",
    side: int = SIDE,
    seed: int = 0,
) -> Path:
    """Write a folder and return it.

    Args:
        root: made where it is missing.
        per_part: images of each part; None: `PER_PART`.
        layout: one of `LAYOUTS`; "one file" wants one part, whatever its name.
        side: of an image, pixels; a multiple of 8.
        seed: other images under another.
    """
    draw = np.random.RandomState(seed)
    annotations, images = LAYOUTS[layout]
    first = 1
    for part, count in (PER_PART if per_part is None else per_part).items():
        scenes = {}
        for number in range(first, first + count):
            image, scenes[f"{number:06d}.jpg"] = draw_scene(draw, side)
            path = Path(root) / images.format(part) / f"{number:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, quality=95)
        write_json(Path(root) / annotations.format(part), document(scenes, side, first))
        first += count
    return Path(root)


def document(
    scenes: Mapping[str, Sequence[tuple[int, list[float]]]], side: int = SIDE, first_id: int = 1
) -> dict[str, Any]:
    """Annotations of the objects of image files, with nothing that may be left out; ids have gaps."""
    ids = {name: number for number, name in enumerate(scenes, first_id)}
    objects = [(ids[name], label, box) for name, found in scenes.items() for label, box in found]
    return {
        "images": [{"id": ids[name], "file_name": name, "width": side, "height": side} for name in scenes],
        "annotations": [
            {"id": number, "image_id": image, "category_id": CATEGORY_IDS[label], "bbox": box}
            for number, (image, label, box) in enumerate(objects, 1)
        ],
        "categories": [{"id": key, "name": name} for key, name in zip(CATEGORY_IDS, SHAPES, strict=True)],
    }


def write_json(path: Path, content: object) -> None:
    """Write a file, in folders that are made where they're missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
