"""What is refused of a sweep's request before anything is looked at."""

from pathlib import Path

import pytest

from tests.cli.command import Refused, one_line, tiny_space


@pytest.mark.parametrize(
    ("name", "choices"), [("objective", ["top1", "mean_per_class"]), ("explore_by", ["upper", "lower_probe"])]
)
def test_what_trials_are_compared_by_is_one_for_all(refused: Refused, tmp_path: Path, name: str, choices: list) -> None:
    space = tiny_space(tmp_path, parameters={name: {"type": "categorical", "choices": choices}})
    said = one_line(refused("sweep", "--space", space, "--dry-run"))
    assert f"{name} can't be searched: all trials of a sweep are compared by it; move it to fixed" in said
