"""The input benchmark measures what it says, on real files, and leaves nothing behind."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bissl_ray.cli.main import app
from tests.data.tiny.cars import write_tiny_cars

pytestmark = pytest.mark.slow
QUICK = ["--image-size", "16", "--batch", "4", "--rounds", "2", "--seconds", "0.05"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BISSL_RAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["bench", "input", *QUICK, *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("processes", ["0", "1"])
def test_ready_made_photographs(tmp_path: Path, home: Path, processes: str) -> None:
    saved = tmp_path / "figures.json"
    shown = run("--count", "6", "--size", "40", "--processes", processes, "--save", str(saved))
    assert "decode each time" in shown and "100.0%" in shown and "6 images of photographs" in shown
    measured = json.loads(saved.read_text())
    files, first, second, memory = measured["ways"]
    assert [len(way["rates"]) for way in (files, first, second, memory)] == [2, 1, 2, 2]
    assert all(rate > 0 for way in measured["ways"] for rate in way["rates"])
    assert memory["ratio"] == 1 and first["rates"][0] < 6 / measured["filling_seconds"]
    assert measured["cache_bytes"] == pytest.approx(4096 + 3 * 6 * measured["pixels"])
    assert list(home.iterdir()) == [] and os.environ["BISSL_RAY_CACHE"] == str(home)


def test_a_dataset_of_files(tmp_path: Path, home: Path) -> None:
    write_tiny_cars(tmp_path / "data")
    measured = json.loads(
        run("--dataset", "cars", "--data-dir", str(tmp_path / "data"), "--stream", "pretext", "--json")
    )
    assert measured["images"] == 19 and measured["question"]["stream"] == "pretext"
