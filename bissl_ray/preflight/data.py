"""What a job writes down about its data, looked at here or where its workers will be."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from bissl_ray.config.data_choice import AS_SHOWN, DataChoice, Decoding
from bissl_ray.config.documents import StageDocument, SweepDocument
from bissl_ray.data import get_dataset, open_data
from bissl_ray.data.cache.folder import cache_folder, check_cache_folder
from bissl_ray.data.checks.files import folders_in_classes
from bissl_ray.data.checks.targets import LABELS
from bissl_ray.data.files.changed import decoded
from bissl_ray.data.files.split_files import holds_split, no_split
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.machines.ask import Asked

_FEW = 4
_PATIENCE_S: Final = 3600.0
"""Files of a million images are listed and read for their fingerprint."""
D = TypeVar("D", SweepDocument, StageDocument)


@dataclass(frozen=True)
class DataFacts:
    """What a job writes down about its data, and shows.

    Attributes:
        fingerprint: of the files and the splits, as the workers will see them.
        classes: how many the dataset tells apart; None: it has none.
        sizes: images by split.
        labelled_fingerprint: of the labelled images alone (`DatasetSplits.labelled_fingerprint`).
        pretext_fingerprint: of what the pretext sees (`DatasetSplits.of_pretext`).
        split_fingerprint: of the split, however much of it is labelled (`DatasetSplits.of_split`).
        validation_from: where validation came from, in words.
        without_split: the folder of index files that has none of this dataset; None: it has, or none was given.
        labels_per_class: labelled training images of each class, where so many were asked for.
        label_draw: which further draw of them; None: the split's own.
        class_names: of each class, by its label; None where the files have none.
        own: whether it is a folder of a person's own, whose classes are worth a look.
        notes: what else is.
    """

    fingerprint: str
    classes: int | None
    sizes: dict[str, int]
    labelled_fingerprint: str
    pretext_fingerprint: str
    split_fingerprint: str
    validation_from: str
    without_split: str | None
    labels_per_class: int | None = None
    label_draw: int | None = None
    class_names: tuple[str, ...] | None = None
    own: bool = False
    notes: tuple[str, ...] = ()

    @property
    def in_words(self) -> str:
        """Classes, images, where validation came from, and fingerprint, for a line."""
        draw = "" if self.label_draw is None else f", draw {self.label_draw}"
        labelled = "" if self.labels_per_class is None else f" ({self.labels_per_class} per class{draw})"
        sizes = ", ".join(f"{count} {name}{labelled * (name == 'train')}" for name, count in self.sizes.items())
        validation = f"validation {self.validation_from}"
        if self.without_split is not None:
            validation += f" ({self.without_split} has no index files of it)"
        classes = "" if self.classes is None else f"{self.classes} classes{self._names()}; "
        notes = "".join(f"; {note}" for note in self.notes)
        return f"{classes}{sizes} images; {validation}; fingerprint {self.fingerprint[:12]}{notes}"

    def _names(self) -> str:
        """The first classes of a person's own folder, so that folders that are none show."""
        if not self.own or self.class_names is None:
            return ""
        more = ", ..." if len(self.class_names) > _FEW else ""
        return f" ({', '.join(self.class_names[:_FEW])}{more})"

    def written_to(self, document: D, otherwise: str) -> D:
        """The document with these facts, which are those that it was begun with.

        Args:
            document: of a sweep or a stage.
            otherwise: what to do where the data are to stay as they are now.

        Raises:
            BadInputError: the data or their split have changed.
        """
        known = document.fingerprint
        if known is not None and known != self.fingerprint:
            raise BadInputError(
                f"the data of {document.kind} {document.request.name} have changed: fingerprint "
                f"{self.fingerprint[:12]}, and {known[:12]} when it began; put the old data back, or {otherwise}"
            )
        return document.changed(
            fingerprint=self.fingerprint,
            labelled_fingerprint=self.labelled_fingerprint,
            validation_from=self.validation_from,
            data=self.sizes | ({} if self.classes is None else {"classes": self.classes}),
        )

    def require_split(self, dataset: str) -> None:
        """Make sure that index files were found where they were asked for (raises BadInputError)."""
        if self.without_split is not None:
            raise no_split(Path(self.without_split), dataset, self.validation_from)


def unopened(data: DataChoice) -> tuple[str, ...]:
    """What a dry run says of the images, none of which it opens."""
    if get_dataset(data.dataset).embedded:
        return ()
    folder = "" if data.data_dir is None else f" --data-dir {shlex.quote(data.data_dir)}"
    return (f"no image was opened; all are by: bissl-ray datasets check {data.dataset}{folder}",)


def inspect_data(data: DataChoice, decoding: Decoding = AS_SHOWN) -> DataFacts:
    """Open a dataset and look at its splits, without decoding images, which will be decoded so.

    Raises:
        BadInputError: it is not there, incomplete or damaged; or $BISSL_RAY_CACHE names no folder to decode it into.
    """
    splits = decoded(open_data(data), decoding)
    if not get_dataset(data.dataset).embedded:
        check_cache_folder()
    spec = get_dataset(data.dataset)
    own = spec.classes is None and not spec.embedded
    parts = {name: len(getattr(splits, name)) for name in ("pretext", "train", "validation", "test")}
    lacking = data.splits_dir is not None and not holds_split(Path(data.splits_dir), data.dataset)
    return DataFacts(
        fingerprint=splits.fingerprint,
        classes=splits.classes,
        sizes=parts,
        labelled_fingerprint=splits.labelled_fingerprint,
        pretext_fingerprint=splits.of_pretext,
        split_fingerprint=splits.of_split,
        validation_from=splits.validation_from,
        without_split=data.splits_dir if lacking else None,
        labels_per_class=data.labels_per_class,
        label_draw=data.label_draw,
        class_names=splits.class_names,
        own=own,
        notes=tuple(finding.text for finding in folders_in_classes(splits)) if own and spec.task in LABELS else (),
    )


def inspect_everywhere(data: DataChoice, decoding: Decoding, asked: Asked) -> DataFacts:
    """Look at the data wherever workers may be: a laptop that attaches to a cluster need not have them.

    Args:
        data: as of `inspect_data`.
        decoding: likewise.
        asked: the machines that workers may be on.

    Raises:
        BadInputError: as `inspect_data`, on any of them; or they don't have the same.
    """
    answers = asked.ask(inspect_data, data, decoding, patience=_PATIENCE_S)
    seen = {answer.machine: answer.value for answer in answers if answer.value is not None}
    failed = [answer for answer in answers if answer.value is None]
    if not seen:
        raise BadInputError(f"on the cluster: {failed[0].failure}" if failed else "on the cluster: no machine is left")
    if failed:
        more = f" (and on {len(failed) - 1} more)" if failed[1:] else ""
        raise BadInputError(
            f"on {failed[0].machine}{more}: {failed[0].failure}; {', '.join([*seen][:3])} has the data: put them on "
            "every machine, at the same path"
        )
    (first, facts), *others = seen.items()
    for machine, its in others:
        if its.fingerprint != facts.fingerprint:
            raise BadInputError(
                f"the data of {machine} are not those of {first}: fingerprint {its.fingerprint[:12]} with "
                f"{sum(its.sizes.values())} images, and {facts.fingerprint[:12]} with {sum(facts.sizes.values())}; "
                "expected the same files on every machine: copy them anew, or mount one folder"
            )
    return facts


def cache_here() -> str:
    """Why decoded images can't be kept on this machine; "": they can."""
    try:
        folder = cache_folder()
    except (BadInputError, OSError) as error:
        return str(error)
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return "" if os.access(there, os.W_OK) else f"{there} can't be written"
