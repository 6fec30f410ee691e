"""What the images of a dataset show once each of them has been opened."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from bissl_ray.data.checks.examine import Examined
from bissl_ray.data.checks.findings import Finding, Findings, count_of
from bissl_ray.data.files.sources import JoinedImages
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, ImageSource

_SPLITS = ("pretext", "train", "validation", "test")


def places_of(splits: DatasetSplits) -> dict[str, tuple[ImageSource, int]]:
    """Where each image is found, by name; those in several splits once."""
    places: dict[str, tuple[ImageSource, int]] = {}
    for split in _SPLITS:
        for source in _leaves(getattr(splits, split)):
            places.update({source.name(index): (source, index) for index in range(len(source))})
    return places


def check_images(spec: DatasetSpec, splits: DatasetSplits, examined: Sequence[Examined], findings: Findings) -> None:
    """Add what was found of the images: damage, orientations, and images that are in several splits."""
    check_files(examined, findings)
    shared = list(_in_several_splits(splits, examined))
    if shared:
        # Published datasets have such pairs, too, and all published figures with them.
        where = findings.problems if spec.sizes is None else findings.notes
        where.append(
            Finding(f"{count_of(len(shared), 'image')} in several of the training, validation and test splits", shared)
        )


def check_files(examined: Sequence[Examined], findings: Findings) -> None:
    """Add what was found of each image by itself: damage and orientations."""
    damaged = [image.problem for image in examined if image.problem is not None]
    if damaged:
        findings.problems.append(Finding(f"{count_of(len(damaged), 'image')} can't be opened", damaged))
    rotated = [image.name for image in examined if image.rotated]
    if rotated:
        findings.notes.append(
            Finding(
                f"{count_of(len(rotated), 'image')} with an orientation in EXIF, which is ignored here and by "
                "torchvision; turn the files themselves if it matters",
                rotated,
            )
        )


def _in_several_splits(splits: DatasetSplits, examined: Sequence[Examined]) -> Iterator[str]:
    """Say of each image that occurs in several splits, be it under several names, where it does."""
    digests = {image.name: image.digest for image in examined if image.problem is None}
    found: defaultdict[bytes, dict[str, str]] = defaultdict(dict)
    for split in _SPLITS:
        # What is in the pretext pool is trained on, too.
        role = "train" if split == "pretext" else split
        for source in _leaves(getattr(splits, split)):
            for index in range(len(source)):
                name = source.name(index)
                if name in digests:
                    found[digests[name]].setdefault(role, name)
    for roles in found.values():
        if len(roles) > 1:
            yield "; ".join(f"{role}: {name}" for role, name in roles.items())


def _leaves(source: ImageSource) -> Iterator[ImageSource]:
    if isinstance(source, JoinedImages):
        for part in source.sources:
            yield from _leaves(part)
    else:
        yield source
