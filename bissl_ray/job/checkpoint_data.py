"""Whether a checkpoint was made with the data that it is now used on: what it may have seen of them."""

from collections.abc import Mapping
from typing import Any

from bissl_ray.errors import BadInputError
from bissl_ray.job.data_facts import DataFacts

_TRAINED_ON_LABELS = {"aligned": "aligned with", "finetuned": "fine-tuned on"}
"""What was done to a model whose training saw labels, in words."""


def notes_on_data(source: str, made: Mapping[str, Any], dataset: str, facts: DataFacts) -> list[str]:
    """Say what a checkpoint may have seen of a dataset's validation and test images.

    Args:
        source: the file, for the line.
        made: its metadata.
        dataset: that it is used on.
        facts: about that.
    """
    if not _made_with_another_split(made, dataset, facts):
        return []
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
        "and not from a self-supervised checkpoint"
    ]


def _made_with_another_split(made: Mapping[str, Any], dataset: str, facts: DataFacts) -> bool:
    if made.get("dataset") != dataset:
        return False
    if made.get("model") == "pretrained" and made.get("pretext_dataset") not in (None, dataset):
        return False  # its images were all of another dataset
    known = made.get("labelled_fingerprint")
    if known is None:  # an earlier release's
        return made.get("fingerprint") not in (None, facts.fingerprint)
    return bool(known != facts.labelled_fingerprint)
