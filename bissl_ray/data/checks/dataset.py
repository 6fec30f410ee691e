"""Whether a dataset on disk is what it should be: everything that is wrong with it, not only the first thing."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.data.checks.boxes import unlike_files
from bissl_ray.data.checks.files import check_unused, folders_in_classes
from bissl_ray.data.checks.findings import Finding, Findings, count_of
from bissl_ray.data.checks.images import check_files, check_images, examine_images, images_by_name
from bissl_ray.data.checks.targets import DETECTION, LABELLED, LABELS
from bissl_ray.data.datasets.registry import get_dataset
from bissl_ray.data.files.image_lists import missing_classes
from bissl_ray.data.files.left_out import AnnotationsError, LeftOutError
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.data.files.split_files import holds_split, no_split
from bissl_ray.data.opening import open_data
from bissl_ray.data.spec import DatasetSpec, DatasetSplits


def check_dataset(choice: DataChoice, quick: bool, progress: Callable[[int, int], None]) -> Findings:
    """Open a dataset, count it against what is published, and open each of its images.

    Args:
        choice: the data.
        quick: only look at the layout, the labels and the counts.
        progress: told after every few images how many have been opened, and of how many.

    Raises:
        BadInputError: the dataset can't be opened: a file or folder is missing, or one of labels is damaged; or there
            are no index files where they were asked for.
    """
    spec = get_dataset(choice.dataset)
    try:
        splits = open_data(choice)
    except LeftOutError as error:
        return _check_remaining(error, quick, progress)
    except AnnotationsError as error:
        return Findings(None, problems=[_of_annotations(error)], opened=None if quick else 0)
    if choice.splits_dir is not None and not holds_split(Path(choice.splits_dir), choice.dataset):
        raise no_split(Path(choice.splits_dir), choice.dataset, splits.validation_from)
    findings = Findings(splits)
    findings.notes += _compare(spec, splits)
    if splits.left_out:
        findings.notes.append(Finding(f"{count_of(len(splits.left_out), 'annotation')} left out", splits.left_out))
    if splits.classes is not None and (spec.task in LABELS or spec.task == DETECTION):
        _check_classes(spec, splits, splits.classes, findings)
    images = images_by_name(splits)
    findings.images = len(images)
    if spec.classes is None and spec.task in LABELS and not spec.embedded:
        findings.notes += folders_in_classes(splits)
    check_unused(images, spec.classes is None, splits.annotation_files, findings)
    if not quick:
        examined = examine_images(list(images.values()), _counting(progress, len(images)))
        check_images(spec, splits, examined, findings)
        findings.problems += unlike_files(splits, examined)
        findings.problems += _unlike_published(choice, spec, splits)
        findings.opened = sum(image.problem is None for image in examined)
    return findings


def _check_remaining(error: LeftOutError, quick: bool, progress: Callable[[int, int], None]) -> Findings:
    """Open the images that can be; without the others, it isn't known what belongs to which split."""
    findings = Findings(None, images=len(error.remaining))
    what = f"{count_of(len(error.lines), 'file')} {error.what}; {error.remedy}"
    findings.problems.append(Finding(what, error.lines))
    if not quick:
        files = ImageFiles(Path(), [str(path) for path in error.remaining])
        images = [(files, index) for index in range(len(files))]
        examined = examine_images(images, _counting(progress, len(images)))
        check_files(examined, findings)
        findings.opened = sum(image.problem is None for image in examined)
    return findings


def _of_annotations(error: AnnotationsError) -> Finding:
    """All that is wrong with them; what an image is of isn't known, and none is opened."""
    what = f"{count_of(len(error.lines), 'fault')} in the annotations; correct them or put intact files there"
    return Finding(what, error.lines, whole=True)


def _counting(progress: Callable[[int, int], None], total: int) -> Callable[[int], None]:
    """From how many more there are to how many in all, beginning with none."""
    done = 0
    progress(done, total)

    def more(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return more


def _compare(spec: DatasetSpec, splits: DatasetSplits) -> Iterator[Finding]:
    """Compare with the published counts."""
    if None not in (spec.classes, splits.classes) and splits.classes != spec.classes:
        yield Finding(f"It has {splits.classes:,} classes, and the published one {spec.classes:,}")
    if spec.sizes is None:
        return
    train, validation, test = spec.sizes
    known = len(splits.train) + len(splits.validation)
    for what, found, published in (
        ("training and validation images", known, train + validation),
        ("test images", len(splits.test), test),
    ):
        if found < published:
            yield Finding(f"It is smaller than the published one: {found:,} of {published:,} {what}")
        elif found > published:
            yield Finding(f"It is larger than the published one: {found:,} {what} instead of {published:,}")


def _unlike_published(choice: DataChoice, spec: DatasetSpec, splits: DatasetSplits) -> Iterator[Finding]:
    """Compare the sums of raw files with the published ones; a smaller copy has others and is left alone."""
    sizes = (len(splits.train) + len(splits.validation), len(splits.test))
    published = spec.sizes
    if choice.data_dir is None or published is None or sizes != (published[0] + published[1], published[2]):
        return
    known: dict[str, set[str]] = {}
    for path, md5 in spec.checksums:
        known.setdefault(path, set()).add(md5)
    unlike = []
    for path, sums in known.items():
        if not (Path(choice.data_dir) / path).is_file():
            continue  # in another of the places that it may have
        with (Path(choice.data_dir) / path).open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() not in sums:
                unlike.append(f"{choice.data_dir}/{path}")
    if unlike:
        yield Finding(
            f"{count_of(len(unlike), 'file')} with another MD5 than the published; fetch the data again", unlike
        )


def _check_classes(spec: DatasetSpec, splits: DatasetSplits, classes: int, findings: Findings) -> None:
    for split in LABELLED:
        absent = missing_classes(getattr(splits, split).targets, classes)
        if absent:
            # Of objects a rare class may well be shown by one split alone.
            wrong = split == "train" and spec.task in LABELS
            where = findings.problems if wrong else findings.notes
            names = splits.class_names
            named = [f"class {n} (counted from 0)" if names is None else f"class {names[n]}" for n in absent]
            several = count_of(len(absent), "class", "classes")
            where.append(Finding(f"The {split} split shows no image of {several}", named))
