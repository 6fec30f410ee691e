"""Checkpoints that a person names: how they are read, and what they may have seen of the data that they are used on."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow.fs import FileType, LocalFileSystem, copy_files

from bissl_ray.config.requests import CheckpointChoice
from bissl_ray.errors import BadInputError
from bissl_ray.models import Checkpoint, load_checkpoint
from bissl_ray.models.tensor_files import head_name, settings_name
from bissl_ray.preflight.data import DataFacts
from bissl_ray.preflight.sources.address import parsed
from bissl_ray.preflight.sources.fetch import fetch
from bissl_ray.store import open_storage
from bissl_ray.store.filesystem import reason


def read_checkpoint(choice: CheckpointChoice) -> Checkpoint:
    """Read a checkpoint: of this machine, of a storage with what was published beside it, or of the web, hub or timm.

    Raises:
        BadInputError: there is none, or it can't be fetched or read.
    """
    with ExitStack() as files:
        file = files.enter_context(fetched(choice.file))
        head = None if choice.head is None else files.enter_context(fetched(choice.head))
        read = load_checkpoint(file.path, None if head is None else head.path)
    notes = (each.note for each in (file, head) if each is not None and each.note is not None)
    return replace(read, notes=(*read.notes, *notes))


class Fetched(NamedTuple):
    """A file as it can be read here; where it is a copy that is kept, the note says so."""

    path: Path
    note: str | None = None


@contextmanager
def fetched(name: str) -> Iterator[Fetched]:
    """A file that a person names, for the duration of a `with` block; of a storage a copy, with what belongs to it.

    In a BadInputError of the block the file has its own address.

    Raises:
        BadInputError: there is no such file, or what has it doesn't answer.
    """
    address = parsed(name)
    if address is None and "://" not in name:
        yield Fetched(Path(name))
        return
    with TemporaryDirectory() as folder:
        if address is None:
            file, words = _copied(name, Path(folder)), None
        else:
            copy, words = fetch(address)
            # By itself: of what lies beside it in a cache, nobody asked for anything.
            file = Path(folder, copy.name)
            file.symlink_to(copy)
        try:
            yield Fetched(file, None if words is None else f"{name} is {words}")
        except BadInputError as error:
            if folder not in str(error):
                raise
            place = name.partition("?")[0].rpartition("/")[0] if address is None else name
            kept = "" if words is None else f" ({words})"
            raise BadInputError(f"in {place}: {str(error).replace(f'{folder}/', '')}{kept}") from error


def _copied(uri: str, folder: Path) -> Path:
    """Copy a file of a storage, and what was published beside it."""
    filesystem, place = open_storage(uri)
    source = PurePosixPath(place)
    try:
        for name in (source.name, head_name(source.name), settings_name(source.name)):
            each = None if name is None else source.with_name(name).as_posix()
            if each is not None and filesystem.get_file_info(each).type == FileType.File:
                copy_files(each, f"{folder}/{name}", filesystem, LocalFileSystem())
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{uri} can't be fetched: {reason(error)}; check the address and the access") from None
    if not (folder / source.name).is_file():
        raise BadInputError(f"no checkpoint file at {uri}: check the address")
    return folder / source.name


_LABELLED = "labelled_fingerprint"
_TRAINED_ON_LABELS = {"aligned": "aligned with", "finetuned": "fine-tuned on"}
"""What was done to a model whose training saw labels, in words."""


def notes_on_data(source: str, made: Mapping[str, Any], dataset: str, facts: DataFacts) -> list[str]:
    """Say what a checkpoint may have seen of a dataset's validation and test images, and of labels that are left out.

    Args:
        source: the file, for the line.
        made: its metadata.
        dataset: that it is used on.
        facts: about that.
    """
    if not _made_with_another_split(made, dataset, facts):
        return _notes_on_labels(source, made, dataset, facts)
    files = f" (--splits-dir {made['splits_dir']})" if made.get("splits_dir") else ""
    return [
        f"{source} was made with another split of {dataset}{files}, or with other files: images that are validation or "
        "test here may have been trained on"
    ]


def notes_on_pretrained(source: str, made: Mapping[str, Any], dataset: str, facts: DataFacts) -> list[str]:
    """As `notes_on_data`, of a checkpoint that both pipelines are to start from.

    Raises:
        BadInputError: it was trained on the labels of another split of the same dataset.
    """
    trained = _TRAINED_ON_LABELS.get(made.get("model", ""))
    if trained is not None and _made_with_another_split(made, dataset, facts):
        raise BadInputError(
            f"{source} was {trained} another split of {dataset}, or other files: it may know the labels of images "
            f"that are validation here; give a self-supervised checkpoint, or one {trained} this split"
        )
    if made.get("model") != "finetuned":
        return notes_on_data(source, made, dataset, facts)
    return [
        f"{source} was fine-tuned on {made.get('dataset')} with labels: BiSSL and its control both start from that, "
        "and not from a self-supervised checkpoint",
        *_notes_on_labels(source, made, dataset, facts),
    ]


def _notes_on_labels(source: str, made: Mapping[str, Any], dataset: str, facts: DataFacts) -> list[str]:
    """Say where a model was trained on other labels of the same images than are used here."""
    trained = _TRAINED_ON_LABELS.get(made.get("model", ""))
    if trained is None or made.get("dataset") != dataset or facts.labelled_fingerprint == made.get(_LABELLED):
        return []
    then, now = made.get("labels_per_class"), facts.labels_per_class
    draws = made.get("label_draw"), facts.label_draw
    if then == now and draws[0] == draws[1]:
        return []
    # A smaller number is a part of a larger one of the same draw, and any is a part of all.
    a_part = then is not None and (now is None or (then < now and draws[0] == draws[1]))
    more = "" if a_part else ": it knows labels that are left out here"
    return [f"{source} was {trained} {_labels(then, draws[0])}, not {_labels(now, draws[1])} as here{more}"]


def _labels(per_class: int | None, draw: int | None) -> str:
    if per_class is None:
        return "every labelled image"
    return f"{per_class} labelled image{'s' * (per_class > 1)} per class{'' if draw is None else f' (draw {draw})'}"


def _made_with_another_split(made: Mapping[str, Any], dataset: str, facts: DataFacts) -> bool:
    if made.get("dataset") != dataset:
        return False
    if made.get("model") == "pretrained" and made.get("pretext_dataset") not in (None, dataset):
        return False  # its images were all of another dataset
    # Fewer labels are the same split. An earlier release's have the one or the other, of all labels.
    known = made.get("split_fingerprint") or made.get(_LABELLED)
    if known is None:
        return made.get("fingerprint") not in (None, facts.fingerprint, facts.pretext_fingerprint)
    return bool(known != facts.split_fingerprint)
