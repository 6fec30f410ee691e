"""What lies in the folders of a dataset beside the images that are used, and how these lie."""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from bissl_ray.data.checks.findings import Finding, Findings, count_of
from bissl_ray.data.checks.targets import LABELLED
from bissl_ray.data.files.formats import is_ignored, is_usual, look_at
from bissl_ray.data.files.sources import ImageFiles, leaves
from bissl_ray.data.spec import DatasetSplits, Images


def folders_in_classes(splits: DatasetSplits) -> Iterator[Finding]:
    """Classes of a person's own folder that hold folders, which could be meant as classes themselves."""
    inside: dict[str, set[str]] = {}
    for split in LABELLED:
        for source in leaves(splits.images(split)):
            if not isinstance(source, ImageFiles):
                continue
            for name in source.names:
                first, _, rest = name.partition("/")
                if "/" in rest:
                    inside.setdefault(f"{source.folder}/{first}", set()).add(rest.partition("/")[0])
    if inside:
        lines = [f"{folder}: {', '.join(sorted(names)[:5])}" for folder, names in sorted(inside.items())]
        yield Finding(
            f"{count_of(len(inside), 'class folder holds', 'class folders hold')} folders, whose images count as the "
            "class's own, as torchvision counts them; if these are the classes, move them one folder up",
            lines,
        )


def check_unused(
    images: Mapping[str, tuple[Images, int]], own: bool, read: Collection[Path], findings: Findings
) -> None:
    """Add what lies beside images that are used, and is not.

    Args:
        images: those that are used, by path.
        own: whether the folder is a person's own, in which images may also lie above the classes' folders.
        read: further files that are used.
        findings: receives a note, and how many images are left out.
    """
    used = {name for name, (source, _) in images.items() if isinstance(source, ImageFiles)}
    folders = {name.rpartition("/")[0] for name in used}
    used |= set(map(str, read))
    if own:
        roots = {source.folder for source, _ in images.values() if isinstance(source, ImageFiles)}
        # Of several parts what holds them all.
        folders |= {*map(str, roots), os.path.commonpath(roots)} if roots else set()
    unused: list[str] = []
    for folder in sorted(folders):
        with os.scandir(folder) as entries:
            others = [entry.path for entry in entries if not is_ignored(entry.name) and entry.path not in used]
        unused.extend(path for path in sorted(others) if Path(path).is_file())
    if unused:
        findings.notes.append(Finding(f"Beside the images {count_of(len(unused), 'file')} of no split", unused))
        findings.left_out = sum(_is_image(path) for path in unused)


def _is_image(path: str) -> bool:
    try:
        return is_usual(path) or look_at(path).image
    except OSError:
        return False
