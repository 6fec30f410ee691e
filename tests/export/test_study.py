"""What a sweep explored, in a database of Optuna's."""

import optuna
import pytest

from bissl_ray.config import load_search_space
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.store import SweepWriter
from bissl_ray.store.documents import write_document
from tests.cli.command import run_here


@pytest.fixture
def storage(tmp_path):
    space = load_search_space("digits")
    request = SweepRequest(name="night", data=DataChoice(dataset="digits"), space=space)
    write_document(tmp_path / "runs", "night", SweepDocument(request=request, data={}, start="ssl.pth"))
    with SweepWriter(tmp_path / "runs", "digits", "night", parameter_types()) as writer:
        for number, status in enumerate(("complete", "pruned", "failed", "running")):
            settings = space.settings({**space.middle(), "upper_lr": 0.01 * (number + 1)}).model_dump()
            writer.trial(
                {
                    "trial": f"t{number:03d}",
                    "status": status,
                    "phase": "explore",
                    "step": "search",
                    "origin": "tpe",
                    "seed": 1,
                    "started_at": writer.stamp(),
                    "objective": None if status == "failed" else 0.8 + number / 100,
                    "objective_name": "validation_top1",
                    **{f"param_{name}": value for name, value in settings.items() if name in parameter_types()},
                }
            )
            if status != "failed":
                for alternation in (1, 2):
                    report = {"trial": f"t{number:03d}", "stage": "bissl", "alternation": alternation}
                    writer.report({**report, "objective": 0.7 + alternation / 100, "objective_name": "validation_top1"})
    return tmp_path / "runs"


@pytest.fixture
def export(storage, monkeypatch, capsys):
    return lambda *arguments: run_here(monkeypatch, capsys, "export", "--storage", storage, *arguments)


def test_the_study_opens_with_settings_curves_and_ends(export, tmp_path):
    url = f"sqlite:///{tmp_path}/sweeps.db"
    done = export("--optuna", url)
    assert done.code == 0, done.err
    assert "study night, 3 explored trials" in done.out and f"optuna-dashboard {url}" in done.out
    study = optuna.load_study(study_name="night", storage=url)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert [trial.user_attrs["trial"] for trial in study.trials] == ["t000", "t001", "t002"]
    assert study.best_value == pytest.approx(80.0) and study.best_params["upper_lr"] == pytest.approx(0.01)
    assert study.trials[1].intermediate_values == {1: pytest.approx(71.0), 2: pytest.approx(72.0)}


def test_a_second_time_it_is_kept_unless_it_may_be_replaced(export, tmp_path):
    url = f"sqlite:///{tmp_path}/sweeps.db"
    export("--optuna", url)
    again = export("--optuna", url)
    assert again.code == 2 and "it has a study 'night' already; give --force" in again.err
    assert export("--optuna", url, "--force").code == 0
    assert len(optuna.load_study(study_name="night", storage=url).trials) == 3


@pytest.mark.parametrize("url", ["nowhere", "sqlite:////no/such/folder/x.db", "mysql://who:secret@nowhere/x"])
def test_what_is_no_database_is_refused_in_a_line(export, url):
    done = export("--optuna", url)
    assert done.code == 2 and len(done.err.strip().splitlines()) == 1
    assert "expected an address that Optuna knows" in done.err and "secret" not in done.err


def test_nothing_else_goes_with_it(export):
    done = export("t000", "--optuna", "sqlite:///x.db")
    assert done.code == 2 and "leave all but --sweep and --force out" in done.err
