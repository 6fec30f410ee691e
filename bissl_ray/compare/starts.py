"""What both pipelines of a comparison start from, as a person gives it."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bissl_ray.addresses import without_secrets
from bissl_ray.config.data_choice import DataPlaces
from bissl_ray.config.how_to_write import number_hint, whole_hint
from bissl_ray.config.options import CompareOptions
from bissl_ray.config.requests import CheckpointChoice, SweepRequest
from bissl_ray.config.scalars import read_plain
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.comparison.cases import draw_suffix
from bissl_ray.preflight.sources.address import label_of, named

_LABEL: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")
_NOT_OF_A_LABEL: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Start:
    """What both pipelines start from.

    Attributes:
        label: how tables call it, and part of the sweep's name.
        pretrained: checkpoint file; None: pretrained here on the dataset's own images.
        epochs: length of that pretraining; None: as the space says.
        head: file of the checkpoint's pretext head; None: in it, beside it, or none.
    """

    label: str
    pretrained: str | None = None
    epochs: int | None = None
    head: str | None = None


def starts_of(asked: CompareOptions) -> list[Start]:
    """Read the checkpoints that were given, and the lengths of pretraining here.

    A file without a label is called by its name.

    Raises:
        BadInputError: a label or a length that can't be used, two of one label, or a head without its one checkpoint.
    """
    pretrained, epochs, head = asked.pretrained or [], asked.pretrain_epochs, asked.pretrained_head
    if head is not None and (len(pretrained) != 1 or epochs is not None):
        also = "" if epochs is None else f" and --pretrain-epochs {epochs}"
        raise BadInputError(
            f"--pretrained-head {without_secrets(head)}: found {len(pretrained)} checkpoints{also}, expected the one "
            "--pretrained FILE that it belongs to; compare others in a call of their own, with the same --name"
        )
    found = [replace(_labelled(text), head=head) for text in pretrained]
    for text in epochs.split(",") if epochs is not None else []:
        length = read_plain(text.strip())
        if not isinstance(length, int) or isinstance(length, bool) or length < 1:
            hint = whole_hint(length) if isinstance(length, float) else number_hint(text, whole=True)
            raise BadInputError(
                f"--pretrain-epochs {epochs}: found {text!r}, expected whole numbers such as 5,20,80{hint}"
            )
        found.append(Start(f"{length}ep", epochs=length))
    labels = [start.label for start in found]
    for label in labels:
        if labels.count(label) > 1:
            raise BadInputError(f"two checkpoints are called {label}: tell them apart, --pretrained LABEL=FILE")
    return found


def case_label(start: Start, data: DataPlaces) -> str:
    """How tables call a case, and how its sweep's name ends: by its start, the number of labels and their draw."""
    labels = "" if data.labels_per_class is None else f"-{data.labels_per_class}labels"
    return f"{start.label}{labels}{draw_suffix(data.label_draw)}"


def case_name(comparison: str, dataset: str, label: str) -> str:
    """The name of the sweep that runs a comparison's case."""
    return f"{comparison}-{dataset}-{label}"


def started_from(request: SweepRequest, comparison: str, start: Start, allow_partial: bool) -> SweepRequest:
    """A request from another start.

    Args:
        request: of a sweep on the same dataset.
        comparison: the name that the case is of.
        start: what the case starts from.
        allow_partial: take what of its checkpoint fits the backbone.
    """
    # How the request's own checkpoint is read has nothing to do with another one.
    own, pretrained = request.pretrained, None
    if start.pretrained is not None:
        file = str(named(start.pretrained))
        same = own if own is not None and own.file == file else CheckpointChoice(file=file)
        head, partial = named(start.head) or same.head, allow_partial or same.allow_partial
        pretrained = CheckpointChoice(file=file, head=head, allow_partial=partial)
    name = case_name(comparison, request.dataset, case_label(start, request.data))
    return request.model_copy(update={"name": name, "pretrained": pretrained})


def _labelled(text: str) -> Start:
    label, sign, file = text.partition("=")
    if not sign or "://" in label or Path(text).is_file():
        label, file = _NOT_OF_A_LABEL.sub("-", label_of(text))[:40], text
    if not _LABEL.fullmatch(label):
        raise BadInputError(
            f"--pretrained {without_secrets(text)}: found the label {label!r}, expected up to 40 letters, digits, "
            "dots, dashes and underscores"
        )
    return Start(label, pretrained=file)
