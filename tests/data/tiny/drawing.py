"""Learnable images: a class is the colour and the width of a bar on noise."""

import colorsys
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (48, 40)
"""Width and height in pixels."""


def draw_bar(label: int, classes: int, draw: np.random.RandomState, size: tuple[int, int] = SIZE) -> Image.Image:
    """Draw one RGB image of `label`, one of 0 .. classes - 1."""
    width, height = size
    colour = np.array(colorsys.hsv_to_rgb(label / classes, 0.9, 0.9)) * 255
    pixels = draw.uniform(60, 160, (height, width, 3))
    bar = width * (1 + label) // (2 * classes) + 2
    left = int(draw.randint(0, width - bar))
    pixels[height // 4 : 3 * height // 4, left : left + bar] = colour
    return Image.fromarray(pixels.astype(np.uint8))


def write_image(
    path: Path, label: int, classes: int, draw: np.random.RandomState, size: tuple[int, int] = SIZE
) -> None:
    """Draw and save one image, in folders that are made where they're missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_bar(label, classes, draw, size).save(path, quality=92)
