"""An image with what is there, beside the same image with what was found."""

import colorsys
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bissl_ray.data.objects import Objects
from bissl_ray.downstream.detection.found import Found

_LONGER_SIDE: Final = 480
_CAPTION, _GAP, _FONT = 22, 8, 13
_DRAWN_FROM: Final = 0.3
"""Score from which on detections are drawn; in any case the best as many as there are objects."""


def drawing(image: Any, objects: Objects, found: Found, class_names: Sequence[str]) -> Image.Image:
    """Draw both.

    Args:
        image: PIL RGB, or a uint8 tensor (3, H, W).
        objects: what is there.
        found: in pixels of the annotated image.
        class_names: of each class.
    """
    pixels = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image.permute(1, 2, 0)))
    scale = _LONGER_SIDE / max(pixels.size)
    width, height = (max(1, round(side * scale)) for side in pixels.size)
    panel = pixels.resize((width, height), Image.Resampling.BICUBIC)
    sheet = Image.new("RGB", (2 * width + _GAP, height + _CAPTION), "white")
    order = found.scores.argsort(descending=True, stable=True).tolist()
    count = max(len(objects.classes), int((found.scores >= _DRAWN_FROM).sum()))
    kept = order[:count]
    shares = found.boxes.cpu().numpy() / [objects.width, objects.height, objects.width, objects.height]
    scores, classes = found.scores.tolist(), found.classes.tolist()
    marks = [
        f"{class_names[label]}{' (crowd)' if crowd else ' (difficult)' if difficult else ''}"
        for label, crowd, difficult in zip(objects.classes, objects.crowd, objects.difficult, strict=True)
    ]
    truth = _boxed(panel, objects.boxes, objects.classes.tolist(), marks, len(class_names))
    named = [f"{class_names[classes[place]]} {scores[place]:.2f}" for place in kept]
    predicted = _boxed(panel, shares[kept], [classes[place] for place in kept], named, len(class_names))
    sheet.paste(truth, (0, _CAPTION))
    sheet.paste(predicted, (width + _GAP, _CAPTION))
    words, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    words.text((2, 3), f"truth: {len(marks)} objects", "black", font)
    words.text((width + _GAP + 2, 3), f"found, the best {len(kept)}", "black", font)
    return sheet


def _boxed(
    panel: Image.Image, shares: Any, classes: Sequence[int], words: Sequence[str], number_of_classes: int
) -> Image.Image:
    drawn, font = panel.copy(), ImageFont.load_default(_FONT)
    pen = ImageDraw.Draw(drawn)
    for box, label, text in zip(shares, classes, words, strict=True):
        left, top, right, bottom = (float(share) * side for share, side in zip(box, 2 * panel.size, strict=True))
        colour = _colour(label, number_of_classes)
        pen.rectangle((left, top, max(right, left), max(bottom, top)), outline=colour, width=2)
        extent = pen.textbbox((0, 0), text, font)
        # Above the box where there is room, else inside.
        at = (min(left, max(0.0, panel.width - extent[2] - 2)), max(0.0, top - extent[3] - 2))
        pen.rectangle((at[0], at[1], at[0] + extent[2] + 2, at[1] + extent[3] + 2), fill=colour)
        pen.text((at[0] + 1, at[1]), text, "black", font)
    return drawn


def _colour(label: int, number_of_classes: int) -> tuple[int, int, int]:
    """Colours that are bright enough for black letters, evenly around the wheel."""
    red, green, blue = colorsys.hsv_to_rgb(label / max(number_of_classes, 1), 0.65, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
