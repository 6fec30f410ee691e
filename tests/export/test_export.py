"""Exported files, loaded by the libraries that they are for, give the scores of the model that was trained."""

import os
import re
import runpy
import sys

import pytest
import torch
import yaml

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import StageDocument
from bissl_ray.config.requests import StageRequest
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.export import Target, choose_run, export_model
from bissl_ray.export.weights import model_weights
from bissl_ray.models import build_backbone, load_backbone, load_checkpoint
from bissl_ray.store.documents import write_document
from tests.cli.command import run_here
from tests.export.stored_sweep import CLASSES, models, write_run, write_sweep

pytest.importorskip("safetensors")
pytest.importorskip("timm")

FAMILIES = [
    ("resnet18", 32, "torchvision"),
    ("resnet18", 32, "timm"),
    ("vit_ti_16", 32, "torchvision"),
    ("vit_ti_16", 32, "timm"),
    ("convnext_tiny", 32, "torchvision"),
    ("convnext_tiny", 32, "timm"),
    ("timm/convnext_atto", 32, "timm"),
    ("timm/efficientnet_b0", 32, "timm"),
    ("timm/dla46_c", 32, "timm"),
    ("smallconv", 8, "torchvision"),
]


def load_by_the_card(card, folder, monkeypatch):
    """Run the Python of a card, as a person would who has the file beside it."""
    code = re.search(r"```python\n(.*?)```", card.read_text(), re.DOTALL)[1]
    script = folder / "load.py"
    script.write_text(code)
    monkeypatch.chdir(card.parent)
    return runpy.run_path(str(script))["model"]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["safetensors", "pth"])
@pytest.mark.parametrize(("backbone", "size", "keys"), FAMILIES)
@torch.no_grad()
def test_the_cards_code_loads_the_file_strictly_into_the_same_model(
    tmp_path, monkeypatch, backbone, size, keys, format
):
    if format == "pth" and backbone not in ("resnet18", "smallconv"):
        pytest.skip("the tensors are the same")
    best = write_sweep(tmp_path, backbone, size)
    out = tmp_path / f"winner.{format}"
    said = export_model(choose_run(tmp_path), tmp_path, Target(str(out), format, keys))
    assert f"with {CLASSES} classes, a-seed1" in said
    model = load_by_the_card(out.with_suffix(".md"), tmp_path, monkeypatch)
    images = torch.randn(4, 3, size, size)
    features = best.lower.eval()(images)
    expected = best.downstream(features)
    scores = model.fc(model(images)) if backbone == "smallconv" else model(images)
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-5)
    if keys == "torchvision":
        assert torch.equal(scores, expected)


@pytest.mark.parametrize(("backbone", "size", "keys"), [*FAMILIES[:6], FAMILIES[-1]])
@torch.no_grad()
@pytest.mark.slow
def test_without_its_head_it_gives_features(tmp_path, monkeypatch, backbone, size, keys):
    best = write_sweep(tmp_path, backbone, size)
    out = tmp_path / "features.safetensors"
    export_model(choose_run(tmp_path, "a"), tmp_path, Target(str(out), "safetensors", keys, with_head=False))
    model = load_by_the_card(out.with_suffix(".md"), tmp_path, monkeypatch)
    images = torch.randn(2, 3, size, size)
    torch.testing.assert_close(model(images), best.lower.eval()(images), rtol=1e-5, atol=1e-5)
    # And back in again, as the checkpoint of a sweep.
    other = models(backbone, size, seed=1)
    report = load_backbone(other.lower, load_checkpoint(out).backbone, str(out))
    assert report.complete
    state = other.lower.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in best.lower.state_dict().items())


def test_the_card_says_where_the_model_comes_from(tmp_path):
    write_sweep(tmp_path, "smallconv", 8)
    out = tmp_path / "winner.safetensors"
    export_model(choose_run(tmp_path), tmp_path, Target(str(out), "safetensors"))
    card = out.with_suffix(".md").read_text()
    assert "Trial a-seed1 of sweep first: of the 2 confirmation runs of a, the winner of the sweep" in card
    assert "this run, validation top1: 75.0 %" in card
    assert "its configuration over 2 seeds, validation top1: 72.5 % (95% interval" in card
    assert "SHA-256: f00d" in card
    assert "Running statistics of fine-tuning." in card
    assert "RGB, 8 x 8 pixels" in card
    assert yaml.safe_load(re.search(r"```yaml\n(.*?)```", card, re.DOTALL)[1])["fixed"]["backbone"] == "smallconv"
    from safetensors import safe_open

    with safe_open(out, "pt") as file:
        metadata = file.metadata()
    assert metadata["card"] == card
    assert metadata["data_fingerprint"] == "f00d"


def test_the_verb_writes_a_file_or_the_configuration(tmp_path, monkeypatch, capsys):
    write_sweep(tmp_path, "smallconv", 8)
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, "export", "--storage", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "a-seed1.safetensors").is_file()
    assert (tmp_path / "a-seed1.md").is_file()
    done = run_here(monkeypatch, capsys, "export", "a-seed1", "--storage", tmp_path, "--out", tmp_path / "w.pth")
    assert done.code == 0
    assert torch.load(tmp_path / "w.pth", weights_only=True)["fc.bias"].shape == (CLASSES,)
    done = run_here(monkeypatch, capsys, "export", "--config", "--storage", tmp_path)
    assert yaml.safe_load(done.out) == {
        "dataset": "digits",
        "fixed": {"backbone": "smallconv", "image_size": 8, "upper_lr": 0.02, "clip_norm": None}
        | {"exif_orientation": False},  # as it was before there was the setting
        "protocol": {"trials": 1, "finalists": 1, "finetune_runs": 1},
    }
    done = run_here(monkeypatch, capsys, "export", "--config", "--storage", tmp_path, "--out", tmp_path / "w.yaml")
    assert done.code == 0
    assert run_here(monkeypatch, capsys, "sweep", "--space", tmp_path / "w.yaml", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "there.pth"), "there.pth is there already; give another --out, or --force to replace it"),
        (("--out", "nowhere/x.pth"), "there is no folder nowhere"),
        (("--out", "x.bin"), "expected a name that ends in .safetensors"),
        (("--out", "x.pth", "--format", "safetensors"), "ends in .safetensors, or another --format"),
        (("--keys", "timm"), "timm has no model like smallconv"),
        (("a-seed0",), "trial a-seed0 (complete) has no saved model"),
        (("a-sed0",), "did you mean 'a-seed0'"),
        (("--config", "--no-head"), "--config writes settings, no model"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_written(tmp_path, monkeypatch, capsys, arguments, said):
    write_sweep(tmp_path / "runs", "smallconv", 8)
    (tmp_path / "there.pth").write_text("mine")
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, "export", *arguments)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert (tmp_path / "there.pth").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "there.pth"}


def test_force_replaces(tmp_path, monkeypatch, capsys):
    write_sweep(tmp_path / "runs", "smallconv", 8)
    (tmp_path / "there.pth").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert run_here(monkeypatch, capsys, "export", "--out", "there.pth", "--force").code == 0
    assert torch.load(tmp_path / "there.pth", weights_only=True)


@pytest.mark.parametrize("verb", [("export", "--out"), ("config", "--write")])
def test_what_is_no_file_is_not_replaced(tmp_path, monkeypatch, capsys, verb):
    write_sweep(tmp_path / "runs", "smallconv", 8)
    os.mkfifo(tmp_path / "x.pth")
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, *verb, "x.pth", "--force")
    assert (done.code, done.err.count("\n")) == (2, 1) and "is no file that can be replaced" in done.err
    assert (tmp_path / "x.pth").is_fifo()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04", "finetuned.pt is cut short"),
        ({"format": "bissl-ray checkpoint", "version": 1}, "has no intact backbone and metadata"),
        (
            {"backbone": {}, "metadata": {"settings": {"backbone": "smallconv", "image_size": "x"}}},
            "image_size: found 'x'",
        ),
        ({"backbone": {}, "metadata": {}}, "is no checkpoint that a stage or a sweep wrote"),
    ],
)
def test_a_damaged_model_is_named(tmp_path, monkeypatch, capsys, content, told):
    write_sweep(tmp_path / "runs", "smallconv", 8)
    file = tmp_path / "runs/sweeps/first/checkpoints/a-seed1/finetuned.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save({"format": "bissl-ray checkpoint", "version": 1, "pretext": None, **content}, file)
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, "export")
    assert (done.code, done.err.count("\n")) == (2, 1) and told in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_storage_without_a_winner_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    done = run_here(monkeypatch, capsys, "export", "--storage", tmp_path)
    assert done.code == 2
    assert "no trial in" in done.err
    from bissl_ray.store import SweepWriter

    row = {"trial": "a", "status": "complete", "phase": "explore", "step": "search", "objective": 0.6}
    with SweepWriter(tmp_path, "digits", "first", {}) as writer:
        writer.trial({**row, "checkpoint": write_run(tmp_path, "a", models("smallconv", 8), "aligned", ())})
    done = run_here(monkeypatch, capsys, "export", "--storage", tmp_path)
    assert "no confirmed configuration yet: finish it with `bissl-ray resume first`, or name a trial" in done.err


def test_a_file_that_a_stage_wrote_is_exported_by_its_path(tmp_path, monkeypatch, capsys):
    write_sweep(tmp_path, "smallconv", 8)
    monkeypatch.chdir(tmp_path)
    content = torch.load("sweeps/first/checkpoints/a-seed1/finetuned.pt", weights_only=True)
    origin = {"dataset": "digits", "trial": "run-1", "sweep": "", "fingerprint": "beef", "objective": 0.5}
    origin |= {"class_names": [*"abcdefg"]}
    torch.save({**content, "metadata": {**content["metadata"], **origin}}, "finetuned.pt")
    done = run_here(monkeypatch, capsys, "export", "finetuned.pt", "--out", "mine.pth")
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "mine.md").read_text().count("in the order of the dataset's labels: 0 a; 1 b; 2 c;") == 1
    card = (tmp_path / "mine.md").read_text()
    assert "Backbone smallconv, fine-tuned on the dataset. Made by bissl-ray." in card
    assert "Run run-1: its file was named on the command line." in card
    assert "SHA-256: beef" in card and "Software" not in card
    # Where stage.json lies beside it, as the stage left both, the card has what that says.
    folder = tmp_path / "runs/stages/run-1"
    folder.mkdir(parents=True)
    (tmp_path / "finetuned.pt").rename(folder / "finetuned.pt")
    request = StageRequest(name="run-1", stage="finetune", data=DataChoice("digits"), settings=Settings())
    sizes = {"pretext": 7, "train": 7, "validation": 7, "test": 7, "classes": 7}
    write_document("runs", "run-1", StageDocument(request=request, data=sizes, git="v1-3-gabc", versions="torch 9"))
    done = run_here(monkeypatch, capsys, "export", "runs/stages/run-1/finetuned.pt", "--out", "mine.pth", "--force")
    card = (tmp_path / "mine.md").read_text()
    assert done.code == 0 and "git v1-3-gabc; versions torch 9" in card and "images: 7 pretext, 7 train" in card
    done = run_here(monkeypatch, capsys, "export", "sweeps/first/checkpoints/a/aligned.pt")
    assert done.code == 2
    assert "is no checkpoint that a stage or a sweep wrote" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="writes where Linux lets nobody write")
def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmp_path, monkeypatch, capsys):
    write_sweep(tmp_path, "smallconv", 8)
    for more in (("--format", "pth", "--out", "/proc/x.pth"), ("--config", "--out", "/proc/x.yaml")):
        done = run_here(monkeypatch, capsys, "export", "--storage", tmp_path, *more)
        assert done.code == 1 and done.err.count("\n") == 1, done
        assert f"{more[-1]} can't be written (" in done.err and "give another --out" in done.err


def test_the_configuration_of_a_file(tmp_path, monkeypatch, capsys):
    write_sweep(tmp_path, "smallconv", 8)
    monkeypatch.chdir(tmp_path)
    content = torch.load("sweeps/first/checkpoints/a-seed1/finetuned.pt", weights_only=True)
    metadata = {**content["metadata"], "dataset": "digits", "trial": "run-1"}
    torch.save({**content, "metadata": metadata}, "finetuned.pt")
    done = run_here(monkeypatch, capsys, "export", "finetuned.pt", "--config")
    assert (done.code, done.err) == (0, "")
    assert yaml.safe_load(done.out)["fixed"] == metadata["settings"]
    done = run_here(monkeypatch, capsys, "export", "finetuned.pt", "--config", "--out", "mine.yaml")
    assert done.out == "mine.yaml: configuration of finetuned.pt\n"
    assert run_here(monkeypatch, capsys, "sweep", "--space", "mine.yaml", "--dry-run").code == 0
    done = run_here(monkeypatch, capsys, "export", "sweeps/first/checkpoints/a/aligned.pt", "--config")
    assert done.code == 2
    assert "is no checkpoint that a stage or a sweep wrote" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        ("timm/resnetv2_50", None),
        (
            "timm/caformer_s18",
            r"doesn't classify by one linear layer .*\(head.fc.fc1.bias\): give --no-head",
        ),
        ("timm/deit_tiny_distilled_patch16_224", "has no single classification layer in timm: give --no-head"),
    ],
)
def test_a_model_of_timm_takes_the_head_or_says_that_it_can_not(backbone, said):
    timm = pytest.importorskip("timm")
    chosen = {"backbone": backbone, "image_size": 32}
    with torch.device("meta"):
        network = build_backbone(backbone, image_size=32)
        head = {"head.weight": torch.empty(CLASSES, network.feature_dim), "head.bias": torch.empty(CLASSES)}
    content = {"backbone": network.state_dict(), "downstream": head, "metadata": {"settings": chosen}}
    if said is None:
        weights = model_weights(content, "timm")
        with torch.device("meta"):
            theirs = timm.create_model(backbone.removeprefix("timm/"), num_classes=CLASSES).state_dict()
        assert {key: tensor.shape for key, tensor in weights.tensors.items()} == {
            key: tensor.shape for key, tensor in theirs.items()
        }
    else:
        with pytest.raises(BadInputError, match=said):
            model_weights(content, "timm")
    assert model_weights(content, "timm", with_head=False).classes == 0
