"""A checkpoint of ours that is given to a sweep or a comparison: what it has seen of the data is told, or refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from bissl_ray import run_sweep
from bissl_ray.data import DataChoice, open_data
from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone, checkpoint_content
from tests.cli.command import run_here, tiny_space
from tests.data.tiny import write_tiny


def checkpoint(folder: Path, model: str, split_seed: int) -> Path:
    splits = open_data(DataChoice("digits", split_seed=split_seed))
    metadata = {"model": model, "dataset": "digits", "labelled_fingerprint": splits.labelled_fingerprint}
    torch.save(checkpoint_content(build_backbone("smallconv").state_dict(), None, metadata), folder / f"{model}.pt")
    return folder / f"{model}.pt"


@pytest.fixture
def dry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run_here(monkeypatch, capsys, *arguments, "--dry-run")


@pytest.mark.parametrize("verb", ["sweep", "compare"])
def test_a_dry_run_tells_what_the_checkpoint_has_seen(tmp_path: Path, dry: Any, verb: str) -> None:
    space = ("--space", tiny_space(tmp_path))
    done = dry(verb, *space, "--pretrained", checkpoint(tmp_path, "pretrained", 1))
    assert done.code == 0 and "pretrained.pt was made with another split of digits" in done.out
    assert "validation drawn, seed 0" in done.out
    done = dry(verb, *space, "--pretrained", checkpoint(tmp_path, "pretrained", 0))
    assert done.code == 0 and "another split" not in done.out
    done = dry(verb, *space, "--pretrained", checkpoint(tmp_path, "finetuned", 0))
    assert done.code == 0 and "finetuned.pt was fine-tuned on digits with labels" in done.out
    done = dry(verb, *space, "--pretrained", checkpoint(tmp_path, "finetuned", 1))
    assert done.code == 2 and "finetuned.pt was fine-tuned on another split of digits" in done.err


def test_a_sweep_refuses_it_before_anything_starts(tmp_path: Path) -> None:
    asked = {"space": tiny_space(tmp_path), "storage": tmp_path / "runs", "name": "s"}
    with pytest.raises(BadInputError, match="was fine-tuned on another split of digits"):
        run_sweep(pretrained=checkpoint(tmp_path, "finetuned", 1), **asked)
    assert not list((tmp_path / "runs").rglob("*.json"))


@pytest.mark.parametrize("verb", ["sweep", "compare"])
def test_index_files_must_be_there_where_one_dataset_is_named(tmp_path: Path, dry: Any, verb: str) -> None:
    data = write_tiny("cars", tmp_path / "data")
    (tmp_path / "splits").mkdir()
    given = ("--data-dir", data, "--splits-dir", tmp_path / "splits", "--dataset", "cars")
    start = ("--pretrain",) if verb == "sweep" else ("--pretrain-epochs", "1")
    done = dry(verb, *given, *start)
    assert done.code == 2 and "has neither cars_train_split.txt nor cars_val_split.txt" in done.err
    done = dry(verb, *given, "--dataset", "digits", *start)
    assert done.code == 0, done.err
    assert done.out.count(f"validation drawn, seed 0 ({tmp_path}/splits has no index files of it)") == 2
