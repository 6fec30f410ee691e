"""Known-good points that don't fit: inherited ones are left out with a note, one's own are refused."""

from pathlib import Path
from typing import Any

import pytest

from bissl_ray.config import SearchSpace, load_search_space, to_yaml
from bissl_ray.errors import BadInputError

PARENT = """\
dataset: d
parameters:
  upper_lr: {type: float, low: 0.1, high: 0.2}
  solver: {type: categorical, choices: [cg, neumann]}
  cg_iterations: {type: int, low: 0, high: 10}
fixed: {lower_batch: 256}
known_good:
  - {upper_lr: 0.1, solver: cg, cg_iterations: 5}
  - {upper_lr: 0.2, solver: neumann, cg_iterations: 4, curvature_batch: 128}
"""
FIRST, SECOND = (
    {"upper_lr": 0.1, "solver": "cg", "cg_iterations": 5},
    {"upper_lr": 0.2, "solver": "neumann", "cg_iterations": 4, "curvature_batch": 128},
)


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    (tmp_path / "parent.yaml").write_text(PARENT)
    return tmp_path / "parent.yaml"


def child(parent: Path, text: str, extends: str = "parent.yaml", name: str = "mine.yaml") -> Path:
    path = parent.parent / name
    path.write_text(f"extends: {extends}\n{text}")
    return path


def refused(path: Path, overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(BadInputError) as refusal:
        load_search_space(path, overrides)
    return str(refusal.value)


def test_an_inherited_point_outside_the_childs_range_is_left_out_and_the_note_names_both_files(parent: Path) -> None:
    mine = child(parent, "parameters:\n  upper_lr: {type: float, low: 0.15, high: 0.2}\n")
    space = load_search_space(mine)
    assert space.known_good == [SECOND]
    assert space.notes == [
        f"left out: known-good point 1 of {parent}: upper_lr is 0.1, expected 0.15 to 0.2 ({mine})",
    ]
    assert space.sources["known_good"] == str(parent), "what is left is still the parent's"


def test_the_shipped_example(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: digits\nparameters:\n  lower_lr: {type: float, low: 0.5, high: 1, log: true}\n")
    assert load_search_space(mine).known_good == []
    assert load_search_space(mine).notes == [
        f"left out: known-good point 1 of search_spaces/digits.yaml: lower_lr is 0.3, expected 0.5 to 1.0 ({mine})",
    ]


@pytest.mark.parametrize(
    ("text", "left", "reasons"),
    [
        (
            "parameters:\n  solver: {type: categorical, choices: [cg, minres]}\n",
            [FIRST],
            {2: "solver is 'neumann', expected one of 'cg', 'minres' ({mine})"},
        ),
        (
            "parameters:\n  cg_iterations: {type: int, low: 0, high: 10, step: 2}\n",
            [SECOND],
            {1: "cg_iterations is 5, expected 0 to 10 in steps of 2 ({mine})"},
        ),
        (
            "parameters:\n  upper_lr: {type: float, low: 0.01, high: 0.1}\n"
            "  cg_iterations: {type: int, low: 0, high: 3}\n",
            [],
            {
                1: "cg_iterations is 5, expected 0 to 3 in steps of 1 ({mine})",
                2: "upper_lr is 0.2, expected 0.01 to 0.1 ({mine}); "
                "cg_iterations is 4, expected 0 to 3 in steps of 1 ({mine})",
            },
        ),
        (
            "fixed: {lower_batch: 64}\n",
            [FIRST],
            {
                2: "found curvature_batch = 128 with lower_batch = 64, expected at most 64: the curvature is taken on "
                "images of a lower batch; lower one or raise the other (lower_batch: {mine})"
            },
        ),
    ],
    ids=["choice", "step", "two ranges", "other settings"],
)
def test_each_left_out_point_has_its_reasons(
    parent: Path, text: str, left: list[dict[str, Any]], reasons: dict[int, str]
) -> None:
    mine = child(parent, text)
    space = load_search_space(mine)
    assert space.known_good == left
    assert space.notes == [
        f"left out: known-good point {number} of {parent}: {reason.format(mine=mine)}"
        for number, reason in reasons.items()
    ]


def test_what_fits_leaves_no_note(parent: Path) -> None:
    space = load_search_space(child(parent, "parameters:\n  upper_lr: {type: float, low: 0.1, high: 0.3}\n"))
    assert (space.known_good, space.notes) == ([FIRST, SECOND], [])


def test_a_point_of_the_file_itself_is_refused(parent: Path) -> None:
    narrow = "parameters:\n  upper_lr: {type: float, low: 0.15, high: 0.2}\n"
    mine = child(parent, f"{narrow}known_good:\n  - {{upper_lr: 0.2}}\n  - {{upper_lr: 0.1}}\n")
    assert refused(mine) == (
        f"{mine}:6: known_good[1].upper_lr: found 0.1, expected a value in the searched range, 0.15 to 0.2 ({mine}); "
        "change the point or widen the range"
    )
    # The range may be the parent's: whoever wrote the point could have known it.
    mine = child(parent, "known_good:\n  - {upper_lr: 0.3}\n")
    assert refused(mine).startswith(f"{mine}:3: known_good[0].upper_lr: found 0.3, expected ")
    assert f"0.1 to 0.2 ({parent})" in refused(mine)
    mine = child(parent, "known_good:\n  - {curvature_batch: 512}\n")
    assert refused(mine).startswith(
        f"{mine}:3: known_good[0].curvature_batch: found curvature_batch = 512 with lower_batch = 256, expected at most"
    )


def test_a_point_of_the_command_line_is_refused(parent: Path) -> None:
    message = refused(parent, {"known_good": [{"upper_lr": 0.3}]})
    assert message.startswith("command line: known_good[0].upper_lr: found 0.3, expected a value in the searched range")
    assert f"0.1 to 0.2 ({parent})" in message


def test_the_command_line_narrows_the_files_own_space(parent: Path) -> None:
    narrow = {"parameters": {"upper_lr": {"type": "float", "low": 0.15, "high": 0.2}}}
    space = load_search_space(parent, narrow)
    assert space.known_good == [SECOND]
    assert space.notes == [
        f"left out: known-good point 1 of {parent}: upper_lr is 0.1, expected 0.15 to 0.2 (command line)"
    ]
    space = load_search_space(parent, {"fixed": {"lower_batch": 64}})
    assert space.known_good == [FIRST]
    assert space.notes[0].endswith("(lower_batch: command line)")


def test_the_command_line_hides_no_mistake_of_the_file(parent: Path) -> None:
    mine = child(parent, "known_good:\n  - {upper_lr: 0.3, cg_iterations: 7}\n")
    narrow = {"parameters": {"cg_iterations": {"type": "int", "low": 0, "high": 5}}}
    assert refused(mine, narrow).startswith(f"{mine}:3: known_good[0].upper_lr: found 0.3, expected ")


def test_a_mistake_between_two_parents_is_left_out_of_the_file_that_was_asked_for(parent: Path) -> None:
    wrong = child(parent, "known_good:\n  - {upper_lr: 0.3}\n  - {upper_lr: 0.2}\n", name="wrong.yaml")
    mine = child(parent, "protocol: {trials: 3}\n", extends="wrong.yaml")
    space = load_search_space(mine)
    assert space.known_good == [{"upper_lr": 0.2}]
    assert space.notes == [f"left out: known-good point 1 of {wrong}: upper_lr is 0.3, expected 0.1 to 0.2 ({parent})"]
    assert refused(wrong).startswith(f"{wrong}:3: known_good[0].upper_lr: found 0.3")


def test_an_inherited_point_that_its_setting_cant_take_is_still_refused(parent: Path) -> None:
    parent.write_text(PARENT + "  - {damping: -1}\n")
    assert refused(child(parent, "protocol: {trials: 3}\n")).startswith(f"{parent}:10: known_good[2].damping: found -1")


def test_points_of_another_pretext_are_left_out_without_a_word(parent: Path) -> None:
    mine = parent.parent / "mine.yaml"
    mine.write_text("extends: cars\nparameters:\n  upper_lr: {type: float, low: 0.05, high: 0.1}\n")
    space = load_search_space(mine)
    assert space.known_good == []
    assert [note.split(": ")[1] for note in space.notes] == ["known-good point 1 of search_spaces/cars.yaml"]
    byol = load_search_space(mine, {"fixed": {"pretext": "byol"}})
    assert byol.notes == [
        f"left out: known-good point 2 of search_spaces/cars.yaml: upper_lr is 0.04, expected 0.05 to 0.1 ({mine})"
    ]


def test_yaml_ends_in_the_notes_and_loads_again(parent: Path) -> None:
    space = load_search_space(child(parent, "parameters:\n  upper_lr: {type: float, low: 0.15, high: 0.2}\n"))
    text = to_yaml(space)
    assert text.splitlines()[-1] == f"# {space.notes[0]}"
    assert "left out" not in to_yaml(load_search_space(parent))
    printed = parent.parent / "printed.yaml"
    printed.write_text(text)
    assert load_search_space(printed).to_mapping() == space.to_mapping()
    assert load_search_space(printed).notes == []


def test_notes_are_kept_in_documents_and_older_documents_have_none(parent: Path) -> None:
    space = load_search_space(child(parent, "parameters:\n  upper_lr: {type: float, low: 0.15, high: 0.2}\n"))
    assert "notes" not in space.to_mapping()
    document = space.model_dump(mode="json")
    assert document["notes"] == space.notes
    assert SearchSpace.model_validate(document) == space
    del document["notes"]
    older = SearchSpace.model_validate(document)
    assert (older.notes, older.known_good) == ([], space.known_good)


def test_a_file_has_no_notes_of_its_own(parent: Path) -> None:
    assert "found unknown key 'notes'" in refused(child(parent, "notes: [mine]\n"))
