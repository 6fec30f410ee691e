"""`bench search` on a sweep whose scores are a known function of the point."""

import json
import math
import random

import numpy as np
import pytest

from bissl_ray.benchmarks.objectives import worths
from bissl_ray.benchmarks.search import METHODS, Found, searched
from bissl_ray.benchmarks.surrogate import Surrogate
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.errors import BadInputError
from bissl_ray.search.proposals import Proposals
from bissl_ray.store import SweepWriter
from tests.benchmarks.run import bench
from tests.search.small_space import space, store_rows
from tests.search.whole_sweep import WholeSweep
from tests.sweep.stored_sweep import write_sweep

SEARCHED = {
    "lower_lr": {"type": "float", "low": 0.01, "high": 1.0, "log": True},
    "upper_lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
}
ALTERNATIONS = 8


def asked(trials=60, finalists=10):
    numbers = {"trials": trials, "finalists": finalists, "finetune_runs": 1, "seeds": 2, "sampler": "random"}
    rungs = {"early_stopping": False, "startup_trials": 5, "grace": 2, "reduction_factor": 2}
    return space(parameters=SEARCHED, protocol={**numbers, **rungs}, fixed={"alternations": ALTERNATIONS})


def worth(point):
    return 0.9 - 0.1 * (math.log10(point["lower_lr"] / 0.2) ** 2 + math.log10(point["upper_lr"] / 0.02) ** 2)


@pytest.fixture(scope="module")
def taught():
    """A sweep of random trials, whole, and its best confirmed."""
    noise = random.Random(1)
    sweep = WholeSweep(
        asked(), score=lambda record: noise.gauss(worth(record.point) if "lower_lr" in record.point else 0.5, 0.005)
    )
    sweep.planner._proposer = Proposals(asked())
    sweep.run()
    for record in sweep.of("explore", "search"):
        record.curve = {a: record.objective - 0.2 * math.exp(-a / 2) for a in range(1, ALTERNATIONS + 1)}
    return sweep


@pytest.fixture(scope="module")
def task(taught):
    return Surrogate(asked(), taught.of("explore", "search"))


@pytest.mark.slow
def test_the_task_is_as_it_was_taught(task):
    assert (task.alternations, task.trials) == (ALTERNATIONS, 60)
    assert task.explained > 0.8
    best, bad = {"lower_lr": 0.2, "upper_lr": 0.02}, {"lower_lr": 0.01, "upper_lr": 0.001}
    assert task.worth(best) == pytest.approx(worth(best), abs=0.03)
    assert task.worth(bad) < task.worth(best) - 0.15
    runs = np.array([task.run(best, np.random.default_rng(seed)) for seed in range(200)])
    assert runs.shape == (200, ALTERNATIONS)
    assert runs[:, -1].mean() == pytest.approx(task.worth(best), abs=0.01)
    assert runs[:, -1].std() > 0.002, "a run has luck of its own"


def test_what_was_found_and_lost_again_has_not_been_found():
    found = Found([10, 20, 30, 40], [0.5, 0.9, 0.6, 0.8], 100)
    assert found.until(0.7) == 40
    assert found.until(0.4) == 10
    assert found.until(0.85) is None


@pytest.mark.slow
@pytest.mark.parametrize("method", [method for method in METHODS if method != "gp"])
def test_every_way_searches_as_a_sweep_does(task, method):
    found = searched(task, asked(), method, trials=24, seed=3)
    whole = 24 * ALTERNATIONS
    stops = "asha" in method or "promotion" in method or "hyperband" in method
    assert found.total < whole if stops else found.total == whole
    assert found.spent == sorted(found.spent)
    assert found.worth[-1] > 0.7
    again = searched(task, asked(), method, trials=24, seed=3)
    assert (again.spent, again.worth, again.total) == (found.spent, found.worth, found.total)


def test_too_few_trials_or_of_several_lengths_teach_nothing(taught):
    explored = taught.of("explore", "search")
    with pytest.raises(BadInputError, match="found 5 whole explore trials of 8 alternations; expected 20 or more"):
        Surrogate(asked(), explored[:5])
    with pytest.raises(BadInputError, match=r"of 0, 8 alternations"):
        Surrogate(asked(), [*explored, *taught.of("confirm", "seeds")])


def rows(taught):
    return store_rows(list(taught.records.values()), asked())


@pytest.mark.slow
def test_what_ranks_as_fine_tuning_does_correlates_and_noise_does_not(taught):
    trials, reports = rows(taught)
    confirmed = {}
    for row in trials:
        if row["step"] == "seeds" and row["phase"] == "confirm":
            confirmed.setdefault(row["parent"], []).append(row["objective"])
    mean = {name: sum(scores) / len(scores) for name, scores in confirmed.items()}
    noise = random.Random(0)
    told = [
        {**r, "upper_loss": -mean.get(r["trial"], 0.0), "lower_knn": noise.random(), "lower_probe": None}
        for r in reports
    ]
    found = {(w.judge, w.alternation): w for w in worths(trials, told)}
    assert {at for _, at in found} == {2, 4, 8}
    assert found["upper loss", 8].rho == pytest.approx(1.0)
    assert found["upper loss", 8].low == pytest.approx(1.0)
    assert found["upper loss", 8].configurations == 10
    assert found["neighbours of θ", 4].low < 0.5
    assert not any(judge == "linear probe of θ" for judge, _ in found)
    assert worths(trials[:3], told) == []


@pytest.mark.slow
def test_the_command_prints_and_saves_it(taught, tmp_path):
    request = SweepRequest(name="taught", data=DataChoice(dataset="digits"), space=asked())
    write_sweep(tmp_path, taught, request, objective_name="validation_top1")
    with SweepWriter(tmp_path, "digits", "taught", parameter_types()) as writer:
        for report in rows(taught)[1]:
            writer.report(report)
    saved = tmp_path / "figures.json"
    flags = ("--storage", str(tmp_path), "--trials", "20", "--seeds", "2", "--save", str(saved))
    shown = bench("search", "--sweep", "taught", "--methods", "random,tpe+asha", *flags)
    assert "A task as 60 trials of sweep taught" in shown
    assert "Rank correlation with the mean after fine-tuning, 10 configurations" in shown
    random_row, asha = json.loads(saved.read_text())["rows"]
    assert random_row["ahead"] == [0.0, 0.0]
    assert random_row["spent"] == [1.0, 1.0]
    assert all(0 < share <= 1 for share in random_row["shares"])
    assert all(share < 1 for share in asha["spent"])


def test_what_cannot_be_asked(tmp_path):
    assert "expected some of random, qmc" in bench("search", "--methods", "tpee", code=2)
    assert "--sweep: give one whose trials" in bench("search", code=2)
    assert "no sweep 'x'" in bench("search", "--sweep", "x", "--storage", str(tmp_path), code=2)
