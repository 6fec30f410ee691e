"""Shared by the tests of the command line."""

from pathlib import Path

import pytest

from tests.cli.command import Refused, run_here


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must be refused; gives what it says."""

    def run_refused(*arguments: object) -> str:
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        done = run_here(monkeypatch, capsys, *arguments)
        assert done.code == 2, done
        assert done.out == ""
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        return done.err.strip()

    return run_refused
