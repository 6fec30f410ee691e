"""`bissl-ray config`, and what other verbs make of what is said once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bissl_ray.cli.compare_filling import CompareFiller
from bissl_ray.cli.filling import Filler
from bissl_ray.cli.stage_filling import fill_stage
from bissl_ray.cli.sweep import filled_for_resume
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.flags import keys_of
from bissl_ray.config.options import CompareOptions, ResumeOptions, StageOptions, SweepOptions
from bissl_ray.config.requests import Case, Comparison, SweepRequest
from bissl_ray.config.said_once import read_all
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.store import SweepWriter
from bissl_ray.store.documents import write_document
from bissl_ray.sweep.run import prepare_request
from tests.cli.command import Done, checkpoint, run, run_here, tiny_space
from tests.config.said_once import nothing_said, users_own
from tests.data.tiny.cars import write_tiny_cars

Here = Callable[..., Done]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return nothing_said(tmp_path, monkeypatch)


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: run_here(monkeypatch, capsys, *arguments)


def rows(done: Done) -> dict[str, str]:
    """The rows of the table, by key, with single spaces."""
    assert done.code == 0, done
    words = [line.split() for line in done.out.splitlines() if line.strip()]
    return {line[0]: " ".join(line[1:]) for line in words}


@pytest.fixture
def cars(project: Path) -> Path:
    """A project that says once where its cars are; its space is made for few and small images."""
    write_tiny_cars(project / "data", classes=3, train_per_class=8)
    checkpoint(project)
    tiny_space(project, dataset="cars", fixed={"lower_batch": 8, "upper_batch": 8, "finetune_batch": 8})
    file = project / "bissl-ray.toml"
    file.write_text(
        'storage = "results"\n\n[datasets.cars]\ndata-dir = "data"\npretrained = "ssl.pth"\nspace = "tiny.yaml"\n'
    )
    return project


SAID = {
    "data-dir": "data: ../bissl-ray.toml:4",
    "pretrained": "ssl.pth: ../bissl-ray.toml:5",
    "space": "tiny.yaml: ../bissl-ray.toml:6",
    "storage": "results: ../bissl-ray.toml:1",
}


def lines_of(project: Path, *keys: str) -> list[str]:
    return [f"{key} {project}/{SAID[key]}" for key in keys]


def test_every_key_is_shown_with_its_origin(here, project, tmp_path, monkeypatch) -> None:
    (project / "bissl-ray.toml").write_text("data-dir = 'd'\n[datasets.cars]\ndata-dir = 'c'")
    users_own(tmp_path, "\ntrials = 9")
    monkeypatch.setenv("BISSL_RAY_PRETRAINED", "https://me:sesame1@host/a.pth?token=sesame2")
    shown = rows(here("config"))
    assert shown["data-dir"] == f"{project}/d ../bissl-ray.toml:1"
    assert shown["trials"] == "9 user's file ~/.config/bissl-ray/config.toml:2"
    assert shown["storage"] == "./runs default" and shown["dataset"] == "digits default"
    assert shown["pretrained"].startswith("https://host/a.pth?hidden=")
    assert shown["pretrained"].endswith(" environment BISSL_RAY_PRETRAINED")
    assert shown["Datasets"] == "with values of their own: cars. One of them: bissl-ray config --dataset NAME"
    assert rows(here("config", "--dataset", "cars"))["data-dir"] == f"{project}/c ../bissl-ray.toml:3"


def test_a_file_to_begin_with_is_written_once(here, project) -> None:
    done = here("config", "--write")
    assert done.code == 0 and done.out.startswith("bissl-ray.toml: written")
    written = Path("bissl-ray.toml").read_text()
    Path("bissl-ray.toml").write_text("top = 3")
    refused = here("config", "--write")
    assert refused.code == 2 and "is there already: add --force" in refused.err
    assert Path("bissl-ray.toml").read_text() == "top = 3"
    assert here("config", "--write", "--force").code == 0
    assert Path("bissl-ray.toml").read_text() == written
    assert here("config", "--write", project / "other.toml").code == 0 and (project / "other.toml").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["config", "some.toml"], "some.toml says how a file is written"),
        (["config", "--write", "--dataset", "cars"], "--write writes every key"),
        (["config", "--write", "absent/some.toml"], "can't be written"),
        (["config", "--dataset", "crs"], "no dataset is called 'crs'"),
    ],
)
def test_what_config_refuses(arguments, said, here) -> None:
    done = here(*arguments)
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1 and done.out == ""


@pytest.mark.slow
@pytest.mark.parametrize("verb", [["sweep"], ["leaderboard"], ["show", "t"], ["resume", "x"], ["train"], ["config"]])
def test_a_wrong_key_stops_every_verb_that_reads_it(verb, here, project) -> None:
    (project / "bissl-ray.toml").write_text("storag = 'x'")
    done = here(*verb)
    assert done.code == 2 and done.err.startswith("bissl-ray: ../bissl-ray.toml:1: found unknown key 'storag'")
    assert done.err.count("\n") == 1 and "did you mean 'storage'" in done.err
    assert here("spaces").code == 0 and here("sweep", "--help").code == 0


@pytest.mark.parametrize("text", ["[datasets.crs]\ndata-dir = 'x'", "dataset = 'crs'", "pretext-dataset = 'crs'"])
def test_a_dataset_that_there_is_not_is_refused_with_its_line(text, here, project) -> None:
    (project / "bissl-ray.toml").write_text(text)
    for verb in (["config"], ["sweep", "--dry-run"], ["train", "--dry-run"], ["compare", "--dry-run"]):
        done = here(*verb)
        assert done.code == 2 and "../bissl-ray.toml:" in done.err and "did you mean 'cars'" in done.err


@pytest.mark.slow
def test_a_sweep_needs_no_more_than_its_dataset(here, cars) -> None:
    done = here("sweep", "--dataset", "cars", "--dry-run")
    assert done.code == 0, done
    said = done.out.splitlines()
    assert [f"# {line}" for line in lines_of(cars, "data-dir", "pretrained", "space", "storage")] == [
        line for line in said if "bissl-ray.toml" in line
    ]
    assert any(line.startswith("# data: 3 classes") for line in said)
    # The dataset itself may be said once, and that of a space that a flag names is said by the flag.
    (cars / "bissl-ray.toml").write_text(
        (cars / "bissl-ray.toml").read_text().replace("storage", "dataset = 'cars'\n#")
    )
    done = here("sweep", "--dry-run")
    assert done.code == 0 and "# dataset cars: ../bissl-ray.toml:1" in done.out
    done = here("sweep", "--dry-run", "--space", "digits")
    assert done.code == 0 and "# data: 10 classes" in done.out and "bissl-ray.toml" not in done.out
    done = here("sweep", "--dry-run", "--space", cars / "tiny.yaml")
    assert done.code == 0 and "# data: 3 classes" in done.out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["train"], ("data-dir", "pretrained", "space", "storage")),
        (["finetune"], ("data-dir", "pretrained", "space", "storage")),
        (["evaluate", "--knn"], ("data-dir", "pretrained", "space", "storage")),
        (["pretrain"], ("data-dir", "space", "storage")),
        (["train", "--start", "../ssl.pth"], ("data-dir", "space", "storage")),
        (["train", "--data-dir", "../data", "--storage", "there"], ("pretrained", "space")),
    ],
)
def test_a_stage_takes_what_its_flags_leave_open(arguments, keys, here, cars) -> None:
    done = here(*arguments, "--dataset", "cars", "--dry-run")
    assert done.code == 0, done
    assert [line[2:] for line in done.out.splitlines() if "bissl-ray.toml" in line] == lines_of(cars, *keys)
    assert "# data: 3 classes" in done.out


@pytest.mark.slow
def test_a_comparison_gives_each_dataset_its_own(here, cars) -> None:
    with (cars / "bissl-ray.toml").open("a") as file:
        file.write("[datasets.digits]\nspace = 'digits.yaml'\npretrained = ['a=ssl.pth', 'b=ssl.pth']\n")
    space = yaml.safe_load((cars / "tiny.yaml").read_text()) | {"dataset": "digits"}
    (cars / "digits.yaml").write_text(yaml.safe_dump(space))
    done = here("compare", "--dataset", "cars", "--dataset", "digits", "--name", "c", "--dry-run")
    assert done.code == 0, done
    assert all(f"\n{case}\n" in done.out for case in ("c-cars-ssl", "c-digits-a", "c-digits-b"))
    assert f"# cars: data-dir {cars}/data: ../bissl-ray.toml:4" in done.out.splitlines()
    alone = here("compare", "--dataset", "cars", "--pretrain-epochs", "2", "--name", "c", "--dry-run")
    assert alone.code == 0 and "c: 1 case" in alone.out and "c-cars-2ep" in alone.out
    several = here("sweep", "--dataset", "digits", "--dry-run")
    assert several.code == 2 and "../bissl-ray.toml:9: pretrained names 2 checkpoints" in several.err


def test_what_is_refused_says_where_it_came_from(here, cars) -> None:
    text = (cars / "bissl-ray.toml").read_text()
    (cars / "bissl-ray.toml").write_text(text.replace('"data"', '"absent"'))
    done = here("sweep", "--dataset", "cars", "--dry-run")
    assert done.code == 2 and f"# data-dir {cars}/absent: ../bissl-ray.toml:4" in done.out


@pytest.mark.slow
def test_who_asks_for_pretraining_gets_no_other_checkpoint(here, cars) -> None:
    done = here("sweep", "--dataset", "cars", "--pretrain", "--dry-run")
    assert done.code == 0 and "ssl.pth" not in done.out


@pytest.mark.slow
def test_a_folder_of_splits_for_all_is_passed_over_where_it_has_none(here, cars, project) -> None:
    (project / "splits").mkdir()
    with_splits = "splits-dir = 'splits'\n" + (cars / "bissl-ray.toml").read_text()
    (cars / "bissl-ray.toml").write_text(with_splits)
    done = here("sweep", "--dataset", "cars", "--dry-run")
    assert done.code == 0, done
    assert (
        f"# splits-dir none: ../bissl-ray.toml:1 names {project}/splits, which has no index files of cars" in done.out
    )
    (cars / "bissl-ray.toml").write_text(with_splits.replace("splits-dir = 'splits'", "") + "splits-dir = 'splits'\n")
    done = here("sweep", "--dataset", "cars", "--dry-run")
    assert done.code == 2 and "splits" in done.err


def filler_for(options: type, *given: str) -> Filler:
    """What a command line of these options left open that gave these keys."""
    left_open = {field: key for field, key in keys_of(options).items() if key not in given}
    return Filler(read_all(), left_open, frozenset(given))


def test_a_pretexts_dataset_lies_where_its_own_table_says(project) -> None:
    (project / "bissl-ray.toml").write_text(
        "data-dir = '/data'\n[datasets.cars]\ndata-dir = '/cars'\npretext-dataset = 'imagenet'\n"
        "[datasets.imagenet]\ndata-dir = '/imagenet'\n"
    )
    filled, used = filler_for(SweepOptions).filled(SweepOptions(dataset="cars"), "cars")
    assert (filled.data_dir, filled.pretext_data_dir) == ("/cars", "/imagenet")
    assert used[-1].line == "pretext-data-dir /imagenet: ../bissl-ray.toml:6"
    asked = SweepOptions(dataset="pets", pretext_dataset="imagenet")
    filled, _ = filler_for(SweepOptions, "pretext-dataset").filled(asked, "pets")
    assert (filled.data_dir, filled.pretext_data_dir) == ("/data", "/imagenet")


@pytest.fixture
def begun(project: Path) -> SweepRequest:
    """A sweep that began with its data in /a, a trial of it, and a file that says something else by now."""
    storage = project / "runs"
    space = tiny_space(project, dataset="cars")
    request = prepare_request(SweepOptions(space=space, name="night", data_dir="/a"))
    write_document(storage, "night", SweepDocument(request=request))
    with SweepWriter(storage, "cars", "night", parameter_types()) as writer:
        row = {f"param_{name}": value for name, value in request.space.settings({})}
        writer.trial({"trial": "t007", "status": "complete", "phase": "explore", "step": "search", **row})
    (project / "bissl-ray.toml").write_text(
        "storage = 'runs'\ntrials = 50\n[datasets.cars]\ndata-dir = '/b'\nsplits-dir = '/s'\nbudget = '2h'\n"
        "space = 'x.yaml'"
    )
    return request


def test_the_data_of_a_sweep_stay_unless_a_flag_moves_them(begun, project) -> None:
    asked = ResumeOptions(storage=str(project / "runs"))
    filled, lines = filled_for_resume(asked, filler_for(ResumeOptions), "night")
    assert filled == replace(asked, budget="2h")
    assert lines[-1] == (
        "data-dir stays /a, as when the sweep began; ../bissl-ray.toml:4 says /b, which is taken with --data-dir /b"
    )
    moved = replace(asked, data_dir="/c")
    filled, lines = filled_for_resume(moved, filler_for(ResumeOptions, "data-dir"), "night")
    assert filled.data_dir == "/c" and not any("stays" in line for line in lines)


def test_a_trial_brings_its_own_data_and_settings(begun, project) -> None:
    asked = StageOptions(storage=str(project / "runs"), from_trial="t007")
    filled, lines = fill_stage("train", asked, filler_for(StageOptions))
    assert filled == asked and lines == [f"storage {project}/runs: ../bissl-ray.toml:1"]
    (project / "bissl-ray.toml").write_text("[datasets.pets]\ndata-dir = '/p'")
    filled, _ = fill_stage("train", replace(asked, dataset="pets"), filler_for(StageOptions, "dataset"))
    assert filled.data_dir == "/p"


def test_a_comparison_that_has_begun_is_gone_on_with_as_it_is(begun, project) -> None:
    known = Comparison(name="c", cases=(Case(checkpoint="ssl", request=begun),))
    once = CompareFiller(filler_for(CompareOptions), known)
    assert once.chosen(CompareOptions()) == CompareOptions()
    (project / "bissl-ray.toml").write_text("[datasets.cars]\ndata-dir = '/b'\n[datasets.pets]\ndata-dir = '/p'")
    once = CompareFiller(filler_for(CompareOptions), known)
    assert once.of_dataset(CompareOptions(), "cars").data_dir == "/a"
    assert once.lines[0].startswith("data-dir stays /a, as when the comparison began; ../bissl-ray.toml:2 says /b")
    assert once.of_dataset(CompareOptions(), "pets").data_dir == "/p"


def test_python_reads_none_of_it(project, monkeypatch) -> None:
    (project / "bissl-ray.toml").write_text("not even TOML")
    monkeypatch.setenv("BISSL_RAY_DATA_DIR", "/data")
    assert prepare_request(SweepOptions(dataset="cars")).data.data_dir is None


@pytest.mark.ray
def test_a_whole_sweep_and_where_its_data_stay(tmp_path, monkeypatch, cars) -> None:
    space = yaml.safe_load((cars / "tiny.yaml").read_text())
    space["protocol"] |= {"trials": 1, "finalists": 1, "finetune_runs": 1}
    space["fixed"] |= {"alternations": 1, "finetune_epochs": 1}
    (cars / "tiny.yaml").write_text(yaml.safe_dump(space))
    done = run("sweep", "--dataset", "cars", "--name", "night", cwd=cars / "sub")
    assert done.code == 0, done
    assert done.out.splitlines()[:4] == lines_of(cars, "data-dir", "pretrained", "space", "storage")
    text = (cars / "bissl-ray.toml").read_text()
    (cars / "bissl-ray.toml").write_text(text.replace('"data"', '"elsewhere"') + "trials = 50\n")
    done = run("resume", "night", "--trials", "2", cwd=cars / "sub")
    assert done.code == 0, done
    moved = f"data-dir stays {cars}/data, as when the sweep began; ../bissl-ray.toml:4 says {cars}/elsewhere"
    assert done.out.splitlines()[1].startswith(moved)
    assert run("leaderboard", cwd=cars).out.count("night") > 0
