"""The check, the dry runs and the runs decide by the same code: what one of them refuses, all do, in the same line."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.cli.command import run_here
from tests.data.tiny.folders import write_split_folder, write_tiny_folder

pytestmark = pytest.mark.slow


def with_file(name: str, content: bytes) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        write_tiny_folder(folder)
        (folder / "kind0" / name).write_bytes(content)

    return write


FOLDERS: dict[str, Callable[[Path], object]] = {
    "a part twice": lambda folder: write_split_folder(folder, {"train": 5, "Training": 5, "test": 2}),
    "no test images": lambda folder: write_split_folder(folder, {"TRAIN": 5, "valid": 2}),
    "something beside the parts": lambda folder: write_split_folder(folder, {"Train": 5, "Test": 2, "extra": 2}),
    "a copy inside itself": lambda folder: (write_tiny_folder(folder), write_tiny_folder(folder / "copy")),
    "an image that is not read": with_file("drawing.svg", b"<svg/>"),
    "an empty image": with_file("0.jpg", b""),
    "a pointer": with_file("0.jpg", b"version https://git-lfs.github.com/spec/v1\n"),
    "an empty class": lambda folder: (write_tiny_folder(folder), (folder / "kind9").mkdir()),
    "no classes": lambda folder: folder.mkdir(),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_folders_that_are_refused(tmp_path: Path, monkeypatch, capsys, what: str) -> None:
    data = tmp_path / "data"
    FOLDERS[what](data)
    places = ("--dataset", "folder", "--data-dir", data, "--storage", tmp_path / "runs")
    said = set()
    for command in (
        ("sweep", *places, "--pretrain", "--dry-run"),
        ("sweep", *places, "--pretrain"),
        ("pretrain", *places, "--dry-run"),
        ("pretrain", *places),
    ):
        done = run_here(monkeypatch, capsys, *command)
        assert done.code == 2, (command, done)
        said.add(done.err.splitlines()[-1])
    assert len(said) == 1 and not (tmp_path / "runs" / "sweeps").exists()
    checked = run_here(monkeypatch, capsys, "datasets", "check", "folder", "--data-dir", data, "--quick")
    assert checked.code == 2
    if not checked.out:
        assert checked.err.splitlines()[-1] in said


CHECKPOINTS: dict[str, Callable[[Path], object]] = {
    "a web page": lambda path: path.write_bytes(b"<!DOCTYPE html><html></html>"),
    "an archive": lambda path: path.write_bytes(b"\x1f\x8b\x08\0"),
    "cut short": lambda path: path.write_bytes(b"PK\x03\x04"),
    "a folder": lambda path: path.mkdir(),
    "nothing": lambda path: None,
    "another network": lambda path: torch.save({"conv1.weight": torch.ones(64, 3, 7, 7)}, path),
}


@pytest.mark.parametrize("what", CHECKPOINTS)
def test_checkpoints_that_are_refused(tmp_path: Path, monkeypatch, capsys, what: str) -> None:
    file = tmp_path / "ssl.pth"
    CHECKPOINTS[what](file)
    storage = ("--storage", tmp_path / "runs")
    said = set()
    for command in (
        ("sweep", "--dataset", "digits", "--pretrained", file, *storage, "--dry-run"),
        ("sweep", "--dataset", "digits", "--pretrained", file, *storage),
        ("train", "--dataset", "digits", "--start", file, *storage, "--dry-run"),
        ("train", "--dataset", "digits", "--start", file, *storage),
    ):
        done = run_here(monkeypatch, capsys, *command)
        assert done.code == 2, (command, done)
        said.add(done.err.splitlines()[-1])
    assert len(said) == 1, said
