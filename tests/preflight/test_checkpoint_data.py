"""What a checkpoint may have seen of the data that it is used on."""

from typing import Any

import pytest

from bissl_ray.data import DataChoice, open_data
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.checkpoints import notes_on_data, notes_on_pretrained
from bissl_ray.preflight.data import DataFacts, inspect_data


@pytest.fixture(scope="module")
def facts() -> DataFacts:
    return inspect_data(DataChoice("digits"))


def made(seed: int, model: str = "aligned", **further: Any) -> dict[str, Any]:
    """Metadata of a checkpoint of ours that was made on the digits."""
    splits = open_data(DataChoice("digits", split_seed=seed))
    marks = {"fingerprint": splits.fingerprint, "labelled_fingerprint": splits.labelled_fingerprint}
    return {"model": model, "dataset": "digits", "pretext_dataset": None, **marks, **further}


@pytest.mark.parametrize(
    ("metadata", "noted"),
    [
        (made(0), False),
        (made(1), True),
        # Whatever its pretext saw and however its images were reduced, the labelled ones tell.
        (made(1, pretext_dataset="imagenet", fingerprint="other"), True),
        (made(0, pretext_dataset="imagenet", fingerprint="other"), False),
        # Pretrained on other images alone, it has seen none of these.
        (made(1, "pretrained", pretext_dataset="imagenet"), False),
        (made(1, "pretrained"), True),
        ({**made(1), "dataset": "cars"}, False),
        ({}, False),
        # An earlier release wrote one fingerprint.
        ({"dataset": "digits", "fingerprint": "other"}, True),
        ({"dataset": "digits", "fingerprint": made(0)["fingerprint"]}, False),
    ],
)
def test_another_split_of_the_same_dataset_is_noted(facts: DataFacts, metadata: dict[str, Any], noted: bool) -> None:
    notes = notes_on_data("a.pt", metadata, "digits", facts)
    assert bool(notes) == noted
    assert not noted or "a.pt was made with another split of digits, or with other files" in notes[0]


def test_the_index_files_that_it_was_made_with_are_named(facts: DataFacts) -> None:
    assert "split of digits (--splits-dir /s)" in notes_on_data("a.pt", made(1, splits_dir="/s"), "digits", facts)[0]


def test_a_checkpoint_that_saw_labels_is_no_self_supervised_one(facts: DataFacts) -> None:
    (note,) = notes_on_pretrained("a.pt", made(0, "finetuned"), "digits", facts)
    assert "a.pt was fine-tuned on digits with labels" in note
    (note,) = notes_on_pretrained("a.pt", {"model": "finetuned", "dataset": "cars"}, "digits", facts)
    assert "fine-tuned on cars" in note
    with pytest.raises(BadInputError, match=r"a.pt was fine-tuned on another split of digits"):
        notes_on_pretrained("a.pt", made(1, "finetuned"), "digits", facts)
    assert notes_on_pretrained("a.pt", made(0, "pretrained"), "digits", facts) == []
    assert notes_on_pretrained("a.pt", made(0, "aligned"), "digits", facts) == []
    with pytest.raises(BadInputError, match=r"a.pt was aligned with another split of digits"):
        notes_on_pretrained("a.pt", made(1, "aligned"), "digits", facts)


def few(number: int | None, seed: int = 0, model: str = "aligned", draw: int | None = None) -> dict[str, Any]:
    """Metadata of a checkpoint of ours that was made with so many labels."""
    splits = open_data(DataChoice("digits", split_seed=seed, labels_per_class=number, label_draw=draw))
    marks = {"labelled_fingerprint": splits.labelled_fingerprint, "split_fingerprint": splits.of_split}
    return made(seed, model, labels_per_class=number, label_draw=draw, **marks)


def test_fewer_labels_are_the_same_split() -> None:
    """Whichever of the two has fewer, an earlier release's checkpoint among them: no held-out image was seen."""
    for number, metadata in ((None, few(3)), (3, made(0)), (3, few(1)), (3, few(None)), (3, few(3))):
        facts = inspect_data(DataChoice("digits", labels_per_class=number))
        assert notes_on_data("a.pt", {**metadata, "model": "pretrained"}, "digits", facts) == []
        assert not any("another split" in note for note in notes_on_pretrained("a.pt", metadata, "digits", facts))
        assert "another split of digits" in notes_on_data("a.pt", few(3, seed=1), "digits", facts)[0]
        with pytest.raises(BadInputError, match="another split of digits"):
            notes_on_pretrained("a.pt", few(3, seed=1), "digits", facts)


def test_labels_that_a_model_knows_and_that_are_left_out_here_are_noted() -> None:
    facts = inspect_data(DataChoice("digits", labels_per_class=3))
    here = "labelled images per class as here"
    assert notes_on_data("a.pt", few(3), "digits", facts) == []
    (note,) = notes_on_data("a.pt", few(1), "digits", facts)
    assert note == f"a.pt was aligned with 1 labelled image per class, not 3 {here}"
    for metadata, then in ((few(10), "10 labelled images per class"), (made(0), "every labelled image")):
        (note,) = notes_on_data("a.pt", metadata, "digits", facts)
        assert note == f"a.pt was aligned with {then}, not 3 {here}: it knows labels that are left out here"
    assert len(notes_on_pretrained("a.pt", few(10, model="finetuned"), "digits", facts)) == 2


def test_labels_of_another_draw_are_others() -> None:
    facts = inspect_data(DataChoice("digits", labels_per_class=3, label_draw=2))
    here = "not 3 labelled images per class (draw 2) as here: it knows labels that are left out here"
    for known, then in ((few(3), ""), (few(3, draw=1), " (draw 1)")):
        (note,) = notes_on_data("a.pt", known, "digits", facts)
        assert note == f"a.pt was aligned with 3 labelled images per class{then}, {here}"
    assert notes_on_data("a.pt", few(3, draw=2), "digits", facts) == []
    (note,) = notes_on_data("a.pt", few(1, draw=2), "digits", facts)
    assert "knows labels" not in note
