"""What a dry run says a sweep will take."""

import re
from pathlib import Path

import pytest

from tests.cli.command import Done, run_here, tiny_space


@pytest.fixture
def dry(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, **changes: dict[str, object]) -> Done:
        return run_here(monkeypatch, capsys, "sweep", "--space", tiny_space(tmp_path, **changes), *arguments)

    return run


def test_gradients_are_always_said_and_where_no_time_is_known_how_to_get_one(dry):
    done = dry("--dry-run")
    assert done.code == 0
    found = re.search(r"# cost: about ([\d.]+)k \(([\d.]+)k if no trial is stopped early\) gradients", done.out)
    assert found is not None
    assert float(found[1]) < float(found[2])
    assert "# time: not known, as nothing like it has run in ./runs; --calibrate times a few steps here" in done.out


def test_without_early_stopping_there_is_one_figure(dry):
    done = dry("--dry-run", protocol={"early_stopping": False})
    assert re.search(r"# cost: about [\d.]+k gradients", done.out)


@pytest.mark.slow
def test_calibrating_says_a_time_and_leaves_nothing_behind(dry, tmp_path):
    done = dry("--dry-run", "--calibrate")
    assert done.code == 0
    # Any duration: a machine that is busy with other tests may be as slow as it is.
    assert re.search(r"# time: about \d+[dhms].* by a few steps of each stage that were timed here", done.out), done.out
    assert "nothing was started" in done.out
    assert [path.name for path in Path(tmp_path).iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--calibrate",), "--calibrate tells what a sweep will take before it starts: give --dry-run as well"),
        (
            ("--calibrate", "--dry-run", "--workers-per-trial", "2"),
            "--calibrate times one worker on this machine, and the sweep's trials have 2 on this machine: leave it out",
        ),
    ],
)
def test_what_it_cannot_time_is_refused(dry, flags, line):
    done = dry(*flags)
    assert done.code == 2
    assert line in done.err
    assert len(done.err.strip().splitlines()) == 1
