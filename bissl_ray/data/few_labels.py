"""Fewer labels, and fewer unlabelled images, than a dataset has: what semi-supervised papers vary.

One shuffled order of the training images, drawn from the split's seed, decides both: the labelled images of a class are
its first in that order, and the pool is the order's beginning, the labelled ones always among it. So what is drawn for
a small number is a part of what is drawn for a larger one; and where the pool's share reaches past the labelled images,
as it mostly does, it is the same pool for every number of labels. Another draw of the labels takes others of the same
pool. Validation and test stay whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.data.sampling import permutation
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Images, Target
from bissl_ray.data.splits import Indices, fingerprint
from bissl_ray.errors import BadInputError


def with_few_labels(splits: DatasetSplits, spec: DatasetSpec, choice: DataChoice) -> DatasetSplits:
    """Label so many training images of each class; the rest stays in the pool, which does not change.

    Args:
        splits: as the dataset's reader gives them, the pool its own.
        spec: the dataset's facts.
        choice: `labels_per_class`; None: all labels stay, or as many as the reader takes.

    Raises:
        BadInputError: targets name no single class, or a class has fewer images.
    """
    wanted = choice.labels_per_class
    known = splits.train if splits.labelled_pool is None else splits.labelled_pool
    if wanted is None:
        return replace(splits, labelled_pool=None)
    _refuse_none("--labels-per-class", wanted)
    classes = _classes(known.targets, splits, spec, wanted)
    labelled = _first_of_each_class(_order(len(classes), choice), classes, splits, spec, wanted, "training images")
    return replace(
        splits,
        train=known.select(labelled.tolist()),
        fingerprint=_marked(splits.fingerprint, "train", labelled),
        labelled_fingerprint=_marked(splits.labelled_fingerprint, "train", labelled),
        pretext_fingerprint=splits.of_pretext,
        split_fingerprint=splits.of_split,
        labelled_pool=None,
    )


def with_few_unlabelled(
    splits: DatasetSplits, whole: DatasetSplits, spec: DatasetSpec, choice: DataChoice
) -> DatasetSplits:
    """Let the pretext see so many images of its pool, all labelled ones of the same dataset among them.

    Args:
        splits: with the labels that are used, and the pretext's pool.
        whole: the same as the dataset's reader gives them.
        spec: facts of the dataset whose images the pretext sees.
        choice: `unlabelled_images`; None: all.

    Raises:
        BadInputError: the pool has fewer images, or more of them are labelled.
    """
    wanted, count = choice.unlabelled_images, len(splits.pretext)
    if wanted is None or wanted == count:
        return splits
    _refuse_none("--unlabelled-images", wanted)
    if wanted > count:
        raise BadInputError(
            f"--unlabelled-images {wanted}: the pretext's pool of {spec.title} has {count:,} images; give fewer, or "
            "leave it out to take all"
        )
    labelled = np.zeros(0, dtype=np.int64)
    order = permutation(count, choice.split_seed, f"{choice.pretext} pool")
    if choice.pretext == choice.dataset:
        known = whole.train if whole.labelled_pool is None else whole.labelled_pool
        places = {splits.pretext.name(place): place for place in range(count)}
        labelled = _places(splits.train.images, range(len(splits.train)), places)
        if len(labelled) > wanted:
            raise BadInputError(
                f"--unlabelled-images {wanted}: {len(labelled):,} images of {spec.title} are labelled, and the pretext "
                "sees these as well; give more, or fewer labels with --labels-per-class"
            )
        # Of those that labels are drawn from, the same come first here and there.
        shuffled = _places(known.images, _order(len(known), choice).tolist(), places)
        order[np.isin(order, shuffled)] = shuffled
    others = order[~np.isin(order, labelled)]
    pool = np.sort(np.concatenate([labelled, others[: wanted - len(labelled)]]))
    return replace(
        splits,
        pretext=splits.pretext.select(pool.tolist()),
        fingerprint=_marked(splits.fingerprint, "pretext", pool),
        pretext_fingerprint=_marked(splits.of_pretext, "pretext", pool),
    )


def with_another_draw(
    splits: DatasetSplits, whole: DatasetSplits, spec: DatasetSpec, choice: DataChoice
) -> DatasetSplits:
    """Give the labels to other images of the pool, which does not change; nor do validation and test.

    So runs over several draws start from the same checkpoint, and differ in nothing but which images have labels.

    Args:
        splits: as the two above leave them.
        whole: the same as the dataset's reader gives them.
        spec: the dataset's facts.
        choice: `label_draw`, an order of its own of the images; None: the splits stay as they are.

    Raises:
        BadInputError: no number of labels is given, or a class has fewer images in the pool.
    """
    draw, wanted = choice.label_draw, choice.labels_per_class
    if draw is None:
        return splits
    _refuse_none("--label-draw", draw)
    if wanted is None:
        raise BadInputError(f"--label-draw {draw} draws some of the labels: add --labels-per-class N, or leave it out")
    known = whole.train if whole.labelled_pool is None else whole.labelled_pool
    classes = _classes(known.targets, splits, spec, wanted)
    order, among = (
        permutation(len(known), choice.split_seed, f"{choice.dataset} labels, draw {draw}"),
        "training images",
    )
    if choice.pretext == choice.dataset and choice.unlabelled_images is not None:
        seen = {splits.pretext.name(place) for place in range(len(splits.pretext))}
        order = order[np.fromiter((known.images.name(index) in seen for index in order.tolist()), bool, len(order))]
        among = f"of the {choice.unlabelled_images:,} images of --unlabelled-images"
    labelled = _first_of_each_class(order, classes, splits, spec, wanted, among)
    return replace(
        splits,
        train=known.select(labelled.tolist()),
        fingerprint=_marked(splits.fingerprint, "train", labelled),
        labelled_fingerprint=_marked(splits.labelled_fingerprint, "train", labelled),
    )


def _first_of_each_class(
    order: Indices, classes: Indices, splits: DatasetSplits, spec: DatasetSpec, wanted: int, among: str
) -> Indices:
    """The places of the first images of each class in an order; `among` says in words what that is of."""
    chosen = np.zeros(len(classes), dtype=bool)
    for number in range(splits.classes or 0):
        own = order[classes[order] == number]
        if len(own) < wanted:
            name = number if splits.class_names is None else splits.class_names[number]
            raise BadInputError(
                f"--labels-per-class {wanted}: class {name} of {spec.title} has {len(own):,} {among}; give "
                f"{len(own):,} or fewer, or leave it out to take all labels"
            )
        chosen[own[:wanted]] = True
    return np.flatnonzero(chosen)


def _classes(targets: Sequence[Target], splits: DatasetSplits, spec: DatasetSpec, wanted: int) -> Indices:
    """The class of each image, of a task that gives each one."""
    if splits.classes is None or not all(isinstance(target, int) for target in targets):
        raise BadInputError(
            f"--labels-per-class {wanted}: images of {spec.title} are labelled for {spec.task}, not each with one "
            "class; leave it out"
        )
    return np.fromiter(targets, np.int64, len(targets))


def _order(count: int, choice: DataChoice) -> Indices:
    """All images that may be labelled, shuffled: the same whatever is asked of them."""
    return permutation(count, choice.split_seed, f"{choice.dataset} labels")


def _places(images: Images, indices: Iterable[int], places: Mapping[str, int]) -> Indices:
    """Where the pool has these images, in their order; a pool needn't have what a dataset's reader leaves out of it."""
    names = dict.fromkeys(images.name(index) for index in indices)
    return np.array([places[name] for name in names if name in places], dtype=np.int64)


def _refuse_none(flag: str, wanted: int) -> None:
    if wanted < 1:
        raise BadInputError(f"{flag} {wanted}: expected 1 or more")


def _marked(mark: str, part: str, indices: Indices) -> str:
    return fingerprint(mark, [], {part: indices})
