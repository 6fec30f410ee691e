"""A finished sweep, run once, by the test that first needs it."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.command import Done, run, tiny_space


class FinishedSweep(NamedTuple):
    """A whole tiny sweep of digits, one worker per trial."""

    folder: Path
    storage: Path
    done: Done


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedSweep:
    folder = tmp_path_factory.mktemp("finished")
    done = run("sweep", "--space", tiny_space(folder), "--name", "tiny", cwd=folder)
    assert done.code == 0, done
    return FinishedSweep(folder, folder / "runs", done)
