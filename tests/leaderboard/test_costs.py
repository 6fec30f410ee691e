"""What a sweep has cost: by step, by rung, and what stopping has left out."""

import json

import pytest

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.leaderboard import read_costs
from bissl_ray.leaderboard.costs import costs
from bissl_ray.store import SweepWriter, read_reports, read_trials, to_rows
from bissl_ray.store.documents import write_document
from tests.cli.command import run_here
from tests.search.small_space import space

RUNGS = Protocol(grace=2, reduction_factor=2)


@pytest.fixture
def climbs(storage):
    """Three explore trials of eight alternations at a second each after five of warm-up; two stopped, at 2 and at 4."""
    with SweepWriter(storage, "digits", "night", parameter_types()) as writer:
        for trial, reached in {"t000": 8, "t001": 2, "t002": 4}.items():
            writer.trial(
                {
                    "trial": trial,
                    "phase": "explore",
                    "step": "search",
                    "status": "complete" if reached == 8 else "pruned",
                    "seconds": 5.0 + reached,
                    "gpu_seconds": 0.0,
                    "hvps": 10 * reached,
                    "alternations": reached,
                    "peak_memory": 2**20 * (100 + reached),
                    "param_alternations": 8,
                }
            )
            for number in range(1, reached + 1):
                row = {"trial": trial, "stage": "bissl", "alternation": number, "objective": 0.5}
                writer.report({**row, "seconds": 5.0 + number})
        run = {"phase": "confirm", "step": "seeds", "status": "complete", "parent": "t000", "seconds": 20.0}
        writer.trial({"trial": "t000-s1", **run, "hvps": 80, "peak_memory": 2**29})
        writer.trial({"trial": "t000-s2", **run, "hvps": 80})
    return to_rows(read_trials(storage)), to_rows(read_reports(storage))


def test_every_second_is_in_a_step_and_those_of_exploring_in_a_rung(climbs):
    found = costs(*climbs, RUNGS)
    assert [(step.what, step.runs, step.seconds, step.products) for step in found.steps] == [
        ("exploring", 3, 29.0, 140),
        ("confirming over seeds", 2, 40.0, 160),
    ]
    assert [(rung.what, rung.runs, rung.seconds) for rung in found.rungs] == [
        ("to alternation 2", 3, 21.0),
        ("from 2 to 4", 2, 4.0),
        ("from 4 to 8", 1, 4.0),
    ]
    assert sum(rung.seconds for rung in found.rungs) == found.steps[0].seconds
    assert (found.total.runs, found.total.seconds, found.total.products) == (5, 69.0, 300)
    assert found.total.peak_memory == 2**29, "the largest, not a sum"


def test_what_was_left_out_is_counted_at_each_trials_own_pace(climbs):
    found = costs(*climbs, RUNGS)
    assert (found.stopped, found.left_out, found.asked, found.saved) == (2, 10, 24, 10.0)
    assert found.sentence == (
        "Stopping 2 trials early left out 10 of 24 alternations, about 10s at the pace that they had."
    )


def test_without_early_stopping_there_are_no_rungs_and_nothing_is_left_out(climbs):
    trials, reports = climbs
    whole = [row for row in trials if row["status"] == "complete"]
    found = costs(whole, reports, RUNGS.model_copy(update={"early_stopping": False}))
    assert found.rungs == ()
    assert found.sentence == ""


def test_the_rungs_are_those_of_the_sweeps_document_and_left_out_where_it_is_damaged(finished_document, storage):
    (found,) = read_costs(storage)
    assert [rung.what for rung in found.rungs] == ["to alternation 2", "from 2 to 4", "from 4 to 8"]
    (storage / "sweeps/night/sweep.json").write_text("{")
    (found,) = read_costs(storage)
    assert found.rungs == ()
    assert found.total.runs == 5


@pytest.fixture
def finished_document(climbs, storage):
    asked = space(protocol={"grace": 2, "reduction_factor": 2}, fixed={"alternations": 8})
    request = SweepRequest(name="night", data=DataChoice(dataset="digits"), space=asked)
    write_document(storage, "night", SweepDocument(request=request, pretrain=True))


def test_the_board_prints_it_on_request(finished_document, storage, monkeypatch, capsys):
    done = run_here(monkeypatch, capsys, "leaderboard", "--storage", storage, "--cost")
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert ["exploring", "3", "29s", "140", "108", "MiB"] in lines
    assert ["from", "2", "to", "4", "2", "4s"] in lines
    assert ["in", "all", "5", "1m", "09s", "300", "512", "MiB"] in lines
    assert "left out 10 of 24 alternations" in done.out
    assert "GPU" not in done.out.partition("cost")[2], "a column with nothing in it is left out"


def test_json_has_it_under_a_key_of_its_own(finished_document, storage, monkeypatch, capsys):
    plain = json.loads(run_here(monkeypatch, capsys, "leaderboard", "--storage", storage, "--format", "json").out)
    assert "costs" not in plain
    done = run_here(monkeypatch, capsys, "leaderboard", "--storage", storage, "--format", "json", "--cost")
    (found,) = json.loads(done.out)["costs"]
    assert found["saved"] == 10.0
    assert found["rungs"][0] == {
        "what": "to alternation 2",
        "runs": 3,
        "seconds": 21.0,
        "gpu_seconds": None,
        "products": None,
        "peak_memory": None,
    }


@pytest.mark.parametrize("flags", [("--format", "csv"), ("--format", "md"), ("--watch",)])
def test_elsewhere_it_is_refused(finished_document, storage, flags, monkeypatch, capsys):
    done = run_here(monkeypatch, capsys, "leaderboard", "--storage", storage, "--cost", *flags)
    assert done.code == 2
    assert f"--cost with {' '.join(flags)}" in done.err


def test_an_empty_storage_says_so_and_no_more(storage, monkeypatch, capsys):
    storage.mkdir()
    done = run_here(monkeypatch, capsys, "leaderboard", "--storage", storage, "--cost")
    assert done.code == 0
    assert "cost" not in done.out
