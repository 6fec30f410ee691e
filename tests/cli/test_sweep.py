"""`bissl-ray sweep`: what it asks for, and bad input: exit code 2, one clear line, nothing started, nothing written."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import bissl_ray
from bissl_ray import run_sweep
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.options import SweepOptions
from bissl_ray.config.requests import CheckpointChoice, SweepRequest
from bissl_ray.search.history import SweepOutcome
from bissl_ray.store import SweepWriter
from bissl_ray.store.documents import now, write_document
from bissl_ray.sweep.run import prepare_request
from bissl_ray.sweep.session import ToRun
from tests.cli.command import Refused, one_line, run, run_here, tiny_space
from tests.data.tiny import write_tiny


def test_unknown_dataset(tmp_path: Path, refused: Refused) -> None:
    line = one_line(refused("sweep", "--dataset", "digit"))
    assert "'digit'" in line and "digits" in line and "cars" in line


def test_bad_key_of_a_space(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("dataset: digits\nextends: digits\nparameters:\n  lower_rl: {type: float, low: 0.1, high: 1}\n")
    line = one_line(refused("sweep", "--space", path))
    assert "space.yaml:4" in line and "lower_rl" in line and "lower_lr" in line


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("{type: float, low: 2.0, high: 1.0}", "low < high"),
        ("{type: float, low: 0, high: 1.0, log: true}", "above 0"),
    ],
)
def test_bad_range(tmp_path: Path, refused: Refused, parameter: str, expected: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(f"dataset: digits\nextends: digits\nparameters:\n  lower_lr: {parameter}\n")
    line = one_line(refused("sweep", "--space", path))
    assert "space.yaml:4" in line and "lower_lr" in line and expected in line


@pytest.mark.parametrize("trials", ["-3", "0"])
def test_too_few_trials(refused: Refused, trials: str) -> None:
    assert f"--trials {trials}" in one_line(refused("sweep", "--trials", trials))


def test_missing_checkpoint(tmp_path: Path, refused: Refused) -> None:
    line = one_line(refused("sweep", "--pretrained", "nowhere.pth"))
    assert "nowhere.pth" in line


def test_checkpoint_of_another_backbone(tmp_path: Path, refused: Refused) -> None:
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), tmp_path / "r18.pth")
    line = one_line(refused("sweep", "--pretrained", tmp_path / "r18.pth"))
    assert "smallconv" in line and "looks like resnet18" in line


def test_checkpoint_with_another_head(tmp_path: Path, refused: Refused) -> None:
    from bissl_ray.models import build_backbone

    head = {f"projector.{place}.weight": torch.zeros(8, 8) for place in (0, 3, 6)}
    torch.save({**build_backbone("smallconv").state_dict(), **head}, tmp_path / "head.pth")
    line = one_line(refused("sweep", "--pretrained", tmp_path / "head.pth"))
    assert "head.pth does not fit the head of SimCLR" in line and "projector." in line


def test_checkpoint_wanted(tmp_path: Path, refused: Refused) -> None:
    from tests.data.tiny.cars import write_tiny_cars

    write_tiny_cars(tmp_path / "data")
    line = one_line(refused("sweep", "--dataset", "cars", "--data-dir", tmp_path / "data"))
    assert "--pretrained" in line and "resnet50" in line and "--pretrain" in line


def test_unwritable_storage(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("in the way")
    line = one_line(refused("sweep", "--storage", tmp_path / "file"))
    assert "file" in line and "--storage" in line
    assert (tmp_path / "file").read_text() == "in the way"


def test_unknown_sweep(tmp_path: Path, refused: Refused) -> None:
    line = one_line(refused("resume", "nothing"))
    assert "'nothing'" in line


def test_cars_without_data(tmp_path: Path, refused: Refused) -> None:
    said = refused("sweep", "--dataset", "cars", "--data-dir", tmp_path / "empty", "--pretrain")
    assert str(tmp_path / "empty") in said
    assert "cars_test_annos_withlabels.mat" in said and "--data-dir" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--budget", "soon"], "--budget soon"),
        (["--workers-per-trial", "0"], "--workers-per-trial 0"),
        (["--workers-per-trial", "3"], "3 workers"),
        (["--name", "42"], "'42'"),
        (["--address", "here"], "--address here"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_odd_arguments(refused: Refused, arguments: list[str], expected: str) -> None:
    assert expected in one_line(refused("sweep", *arguments))


@pytest.mark.parametrize("verb", ["sweep", "compare"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["0.3"], "--gpus-per-worker 0.3: expected 1, or such a part"),
        (["0"], "--gpus-per-worker 0: expected 1"),
        (["half"], "--gpus-per-worker"),
        (["0.5", "--workers-per-trial", "2"], "--gpus-per-worker 0.5 with --workers-per-trial 2"),
        (["0.5"], "--gpus-per-worker 0.5: this machine has no GPU: leave it out"),
    ],
)
def test_parts_of_a_gpu_that_can_not_be_had(refused: Refused, verb: str, arguments: list[str], expected: str) -> None:
    assert expected in one_line(refused(verb, "--gpus-per-worker", *arguments))


def test_backbone_cannot_be_searched(tmp_path: Path, refused: Refused) -> None:
    choices = {"backbone": {"type": "categorical", "choices": ["smallconv", "resnet18"]}}
    fixed = {"backbone": "smallconv"}
    path = tiny_space(tmp_path, parameters=choices)
    path.write_text(path.read_text().replace(f"  backbone: {fixed['backbone']}\n", ""))
    assert "backbone" in one_line(refused("sweep", "--space", path))


@pytest.mark.parametrize(
    ("changes", "workers", "expected"),
    [
        ({"parameters": {"curvature_chunks": {"type": "int", "low": 1, "high": 4}}}, 1, "3 equal parts"),
        ({"parameters": {"curvature_batch": {"type": "categorical", "choices": [None, 15]}}}, 2, "15 images in some"),
        ({"known_good": [{"curvature_batch": 7}]}, 2, "taken on 7 images, which 2 workers"),
        ({"fixed": {"damping": 0, "proximity_weight_stem": 0}, "known_good": []}, 1, "proximity weight of stem"),
    ],
)
def test_settings_that_would_fail_some_trial(
    tmp_path: Path, refused: Refused, changes: dict[str, Any], workers: int, expected: str
) -> None:
    path = tiny_space(tmp_path, **changes)
    assert expected in one_line(refused("sweep", "--space", path, "--workers-per-trial", workers))


@pytest.mark.slow
def test_dry_run_starts_nothing(tmp_path: Path) -> None:
    done = run("sweep", "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "nothing was started" in done.out and "lower_lr" in done.out
    assert not list(tmp_path.iterdir())


def test_a_refusal_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = run("sweep", "--dataset", "digit", cwd=tmp_path)
    assert done.code == 2 and done.out == "" and "Traceback" not in done.err


Asked = list[tuple[SweepRequest, SweepOptions]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the verb would begin; nothing is begun."""
    begun: Asked = []

    def begin(every: Asked, view: object) -> list[SweepOutcome]:
        begun.extend(every)
        return [SweepOutcome(request.name, str(asked.storage), finished=False, completed=0) for request, asked in every]

    monkeypatch.setattr("bissl_ray.sweep.run.begin_sweeps", begin)
    return begun


def test_every_flag_reaches_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: Asked
) -> None:
    monkeypatch.chdir(tmp_path)
    flags: dict[str, object] = {
        "--dataset": "cars",
        "--data-dir": "data",
        "--splits-dir": "splits",
        "--pretext-dataset": "imagenet",
        "--pretext-data-dir": "/imagenet",
        "--trials": 7,
        "--budget": "2h",
        "--workers-per-trial": 2,
        "--address": "127.0.0.1:1",
        "--storage": "elsewhere",
        "--name": "night",
        "--pretrained": "x.pth",
        "--pretrained-head": "s3://bucket/h.pth",
    }
    words = [str(word) for flag in flags.items() for word in flag]
    done = run_here(monkeypatch, capsys, "sweep", *words, "--allow-partial", "--pretrain")
    assert done.code == 130 and "bissl-ray resume night --storage elsewhere" in done.out
    ((request, options),) = asked
    assert request.data == DataChoice(
        "cars",
        split_seed=0,
        data_dir=f"{tmp_path}/data",
        splits_dir=f"{tmp_path}/splits",
        pretext_dataset="imagenet",
        pretext_data_dir="/imagenet",
    )
    checkpoint = CheckpointChoice(file=f"{tmp_path}/x.pth", head="s3://bucket/h.pth", allow_partial=True)
    assert (request.name, request.pretrained, request.workers_per_trial) == ("night", checkpoint, 2)
    assert request.space.protocol.trials == 7 and request.space.dataset == "cars"
    assert (options.budget, options.address) == ("2h", "127.0.0.1:1")
    assert options.storage == "elsewhere" and options.pretrain
    assert not options.splits_optional


def test_several_datasets_are_a_sweep_each_on_the_same_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[ToRun] = []

    def run_session(sweeps: list[ToRun], storage: str, *rest: object) -> list[SweepOutcome]:
        asked.extend(sweeps)
        return [SweepOutcome(sweep.name, storage, finished=False, completed=0) for sweep in sweeps]

    monkeypatch.setattr("bissl_ray.sweep.session.run_session", run_session)
    both = ("--dataset", "digits", "--dataset", "cars")
    flags = (*both, "--data-dir", "data", "--space", tiny_space(tmp_path), "--pretrain")
    # What the last of them would be refused for comes out before the first begins.
    done = run_here(monkeypatch, capsys, "sweep", *flags)
    assert done.code == 2 and "Stanford Cars" in done.err and not asked
    write_tiny("cars", tmp_path / "data")
    done = run_here(monkeypatch, capsys, "sweep", *flags)
    assert done.code == 130, done
    assert [(sweep.document.request.dataset, sweep.splits_optional) for sweep in asked] == [
        ("digits", True),
        ("cars", True),
    ]
    assert f"bissl-ray resume {asked[0].name} {asked[1].name}\n" in done.out
    for arguments, expected in (
        ((*both, "--name", "night"), "--name night names one sweep, and there are 2 datasets"),
        (("--dataset", "cars", "--dataset", "cars"), "each dataset once"),
    ):
        done = run_here(monkeypatch, capsys, "sweep", *arguments)
        assert done.code == 2 and expected in one_line(done.err.strip())


@pytest.mark.parametrize("verb", ["sweep", "resume"])
def test_a_damaged_file_ends_neither_what_is_said_after_the_board_nor_the_sweeps_that_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny("cars", tmp_path / "data")

    def finish(dataset: str, name: str) -> SweepOutcome:
        with SweepWriter(tmp_path / "runs", dataset, name, {}) as writer:
            writer.trial({"trial": "t000", "status": "complete", "phase": "explore", "step": "search"})
        (tmp_path / f"runs/results/dataset={dataset}/sweep={name}/trials-9.parquet").write_bytes(b"torn")
        return SweepOutcome(name, "runs", finished=True, completed=1)

    begun = "bissl_ray.sweep.run.begin_sweeps"
    monkeypatch.setattr(begun, lambda every, view: [finish(request.dataset, request.name) for request, _ in every])
    monkeypatch.setattr("bissl_ray.sweep.run.go_on", lambda every, view: [finish("digits", name) for name, _ in every])
    both = ("--dataset", "digits", "--dataset", "cars", "--data-dir", "data", "--space", tiny_space(tmp_path))
    words = (*both, "--pretrain") if verb == "sweep" else ("night",)
    done = run_here(monkeypatch, capsys, verb, *words, "--storage", "runs")
    assert done.code == 1, done
    assert "trials-9.parquet" in done.err and done.out.count("More: ") == (2 if verb == "sweep" else 1), done


def test_python_and_the_command_line_ask_alike(asked: Asked, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    run_here(monkeypatch, capsys, "sweep", "--dataset", "digits", "--trials", 3, "--name", "s", "--storage", "here")
    run_sweep("digits", trials=3, name="s", storage="here")
    assert asked[0] == asked[1]
    with pytest.raises(TypeError, match="nonsense"):
        run_sweep("digits", nonsense=1)


def test_a_flag_is_declared_once_for_every_verb_that_has_it() -> None:
    source = "".join(path.read_text() for path in Path(bissl_ray.__file__).parent.rglob("*.py"))
    for name in ("splits_dir", "pretext_data_dir", "workers_per_trial", "gpus_per_worker"):
        declared = re.findall(rf"^    {name}: .*= flag\(", source, re.M)
        assert 1 <= len(declared) <= 2, (name, declared)


@pytest.mark.slow
def test_points_that_a_narrowed_space_leaves_out_are_said(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: digits\nparameters:\n  lower_lr: {type: float, low: 0.5, high: 1.0}\n")
    done = run("sweep", "--dry-run", "--space", path, cwd=tmp_path)
    assert done.code == 0 and "lower_lr is 0.3, expected 0.5 to 1.0" in done.out


def test_sweeps_go_on_together_where_their_groups_are_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, workers in (("a", 1), ("b", 1), ("c", 2)):
        options = SweepOptions(name=name, space=tiny_space(tmp_path), pretrain=True, workers_per_trial=workers)
        document = SweepDocument(created_at=now(), request=prepare_request(options), pretrain=True)
        write_document(str(tmp_path / "runs"), name, document)
    asked: list[ToRun] = []

    def run_session(sweeps: list[ToRun], storage: str, *rest: object) -> list[SweepOutcome]:
        asked.extend(sweeps)
        return [SweepOutcome(sweep.name, storage, finished=False, completed=0, problem="full") for sweep in sweeps]

    monkeypatch.setattr("bissl_ray.sweep.session.run_session", run_session)
    done = run_here(monkeypatch, capsys, "resume", "a", "c")
    assert done.code == 2 and "a has 1, c has 2 per trial" in one_line(done.err.strip()) and not asked
    done = run_here(monkeypatch, capsys, "resume", "a", "a")
    assert done.code == 2 and "each sweep once" in one_line(done.err.strip()) and not asked
    done = run_here(monkeypatch, capsys, "resume", "b", "a", "--trials", "9")
    assert done.code == 1 and "Stopped: full." in done.out and "bissl-ray resume b a\n" in done.out
    assert [(each.name, each.document.request.space.protocol.trials) for each in asked] == [("b", 9), ("a", 9)]
