"""Splits whose image files are read in another way."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from bissl_ray.config.data_choice import Decoding
from bissl_ray.data.files.sources import ImageFiles, JoinedImages, leaves
from bissl_ray.data.spec import SPLITS, DatasetSplits, Images, Labelled


def decoded(splits: DatasetSplits, decoding: Decoding) -> DatasetSplits:
    """The same splits with their image files, test images too, decoded so, and another fingerprint where that tells."""
    parts = (splits.pretext, splits.train.images, splits.validation.images, splits.test.images)
    files = any(isinstance(leaf, ImageFiles) for part in parts for leaf in leaves(part))
    marks = [] if decoding.shorter_side is None else [f"reduced to {decoding.shorter_side}"]
    marks += ["turned as EXIF says"] if decoding.upright and files else []
    mark, of_pretext = splits.fingerprint, splits.of_pretext
    for each in marks:
        mark, of_pretext = (hashlib.sha256(f"{known} {each}".encode()).hexdigest() for known in (mark, of_pretext))
    changed = with_images_changed(splits, SPLITS, lambda images: images.decoded(decoding))
    return replace(changed, fingerprint=mark, pretext_fingerprint=of_pretext)


def with_images_changed(
    splits: DatasetSplits, parts: Iterable[str], change: Callable[[ImageFiles], Images]
) -> DatasetSplits:
    """The same splits with each source of image files changed, in some parts of them."""
    found: dict[str, Any] = {}
    for part in parts:
        images = _with_files_replaced(splits.images(part), change)
        found[part] = images if part == "pretext" else Labelled(images, getattr(splits, part).targets)
    return replace(splits, **found)


def _with_files_replaced(images: Images, change: Callable[[ImageFiles], Images]) -> Images:
    if isinstance(images, JoinedImages):
        return JoinedImages([_with_files_replaced(part, change) for part in images.sources])
    return change(images) if isinstance(images, ImageFiles) else images
