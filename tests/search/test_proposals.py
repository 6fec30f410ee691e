"""Optuna hears the truth, and a resumed sweep's study is that of one that was never interrupted."""

import math
import warnings

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from bissl_ray.search.proposals import Proposals, finetune_points
from bissl_ray.search.records import Record, records_from_store
from tests.search.small_space import FINETUNE, PARAMETERS, space, store_rows

SAMPLERS = ["tpe", pytest.param("gp", marks=pytest.mark.slow), "cmaes", "random", "qmc"]
KNOWN_GOOD = [
    {"lower_lr": 1.0, "cg_iterations": 5, "solver": "neumann", "direct_weight": 0.5, "damping": 7.0, "clip_norm": None},
    {"lower_lr": 0.2},
]


def objective(point):
    """Best at lower_lr = 1 with many iterations."""
    return 0.9 / (1 + math.log(point["lower_lr"]) ** 2) * (0.5 + point.get("cg_iterations", 0) / 20)


def propose(proposals, name):
    point, origin = proposals.ask(name)
    return Record(name, "explore", "search", None, 0, point, origin)


def end(proposals, record, status="complete", alternations=3):
    """Report a curve and tell the end, as the recorder does."""
    for alternation in range(1, alternations + 1):
        record.curve[alternation] = record.objective = objective(record.point) * alternation / 3
        proposals.report(record.trial, alternation, record.objective)
    record.status = status
    proposals.tell(record)
    return record


def outcomes(proposals):
    return [(t.state, t.params, t.value, t.intermediate_values) for t in proposals.trials]


def test_distributions_are_the_spaces():
    proposals = Proposals(space())
    propose(proposals, "t000")
    assert proposals.trials[0].distributions == {
        "lower_lr": FloatDistribution(0.1, 4.8, log=True),
        "direct_weight": FloatDistribution(0.0, 1.0),
        "cg_iterations": IntDistribution(0, 10),
        "solver": CategoricalDistribution(["cg", "neumann"]),
    }


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_lie_in_the_space_and_name_their_sampler(sampler):
    wanted = space(protocol={"sampler": sampler})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proposals = Proposals(wanted)
        records = [end(proposals, propose(proposals, f"t{i:03d}")) for i in range(8)]
    for record in records:
        assert record.origin == sampler
        assert set(record.point) == set(PARAMETERS)
        assert 0.1 <= record.point["lower_lr"] <= 4.8
        assert isinstance(record.point["cg_iterations"], int)
        wanted.settings(record.point)
    assert len({record.point["lower_lr"] for record in records}) == 8


STEPPED = {**PARAMETERS, "cg_iterations": {"type": "int", "low": 1, "high": 10, "step": 3}}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_whole_numbers_are_proposed_in_steps(sampler):
    proposals = Proposals(space(parameters=STEPPED, protocol={"sampler": sampler}))
    points = [end(proposals, propose(proposals, f"t{i:03d}")).point for i in range(24)]
    found = {point["cg_iterations"] for point in points}
    # What models soon keeps to where it is best.
    assert found <= {1, 4, 7, 10} and len(found) >= (3 if sampler in ("gp", "cmaes") else 4)
    assert all(isinstance(point["cg_iterations"], int) for point in points)
    assert proposals.trials[0].distributions["cg_iterations"] == IntDistribution(1, 10, step=3)


def test_a_known_good_point_takes_its_missing_values_from_the_steps():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna warns of an enqueued value that it can't propose, and draws another
        proposals = Proposals(space(parameters=STEPPED, known_good=[{"cg_iterations": 7}, {"lower_lr": 0.2}]))
        first, second = (propose(proposals, f"t{i:03d}") for i in range(2))
    assert (first.point["cg_iterations"], first.origin) == (7, "known_good")
    assert (second.point["cg_iterations"], second.origin) == (4, "known_good"), "nearest to the default of 5"


def test_known_good_points_come_first_and_keep_what_is_not_searched():
    proposals = Proposals(space(known_good=KNOWN_GOOD))
    first, second, third = (propose(proposals, f"t{i:03d}") for i in range(3))
    assert first.point == KNOWN_GOOD[0]
    assert "damping" not in proposals.trials[0].params
    assert space().settings(first.point).damping == 7.0
    assert space().settings(first.point).clip_norm is None
    # What a point leaves out has the setting's default.
    assert second.point == {"lower_lr": 0.2, "direct_weight": 1.0, "cg_iterations": 5, "solver": "cg"}
    assert [record.origin for record in (first, second, third)] == ["known_good", "known_good", "tpe"]


def test_optuna_hears_complete_pruned_and_failed():
    proposals = Proposals(space())
    records = [propose(proposals, f"t{i:03d}") for i in range(6)]
    end(proposals, records[0])
    end(proposals, records[1], status="pruned", alternations=2)
    end(proposals, records[2], status="failed", alternations=1)
    records[3].status, records[3].objective = "complete", math.nan
    proposals.report("t003", 1, math.nan)
    proposals.tell(records[3])
    records[4].status = "failed"
    proposals.tell(records[4])
    trials = proposals.trials
    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.FAIL,
        TrialState.FAIL,
        TrialState.RUNNING,
    ]
    assert trials[0].value == records[0].objective
    assert trials[0].intermediate_values == records[0].curve
    assert trials[1].value == records[1].curve[2]
    assert trials[1].intermediate_values == records[1].curve
    assert trials[3].intermediate_values == {}
    proposals.tell(records[0])  # told already: nothing happens
    proposals.report("unknown", 1, 0.5)
    assert [trial.state for trial in proposals.trials] == [trial.state for trial in trials]


def history():
    """A study as it was lived, and its records."""
    wanted = space(known_good=KNOWN_GOOD)
    proposals = Proposals(wanted)
    records = []
    for number, status in enumerate(["complete", "pruned", "failed", "complete", "complete"]):
        records.append(end(proposals, propose(proposals, f"t{number:03d}"), status, 2 if status == "pruned" else 3))
    running = propose(proposals, "t005")
    running.curve[1] = running.objective = 0.25
    proposals.report("t005", 1, 0.25)
    return wanted, proposals, [*records, running]


def test_a_replayed_study_is_the_lived_one():
    wanted, lived, records = history()
    rebuilt = records_from_store(*store_rows(records, wanted))
    replayed = Proposals(wanted, iter(rebuilt))
    assert outcomes(replayed) == outcomes(lived)
    assert replayed.trials[-1].state == TrialState.RUNNING
    # The running one ends in both, and both know as much.
    for proposals, record in ((lived, records[-1]), (replayed, rebuilt[-1])):
        record.status, record.objective = "pruned", 0.25
        proposals.tell(record)
    assert outcomes(replayed) == outcomes(lived)
    assert replayed.trials[-1].value == 0.25


def test_a_resumed_sweep_proposes_the_known_good_points_that_are_left():
    wanted = space(known_good=KNOWN_GOOD)
    first = end(Proposals(wanted), Record("t000", "explore", "search", None, 0, KNOWN_GOOD[0], "known_good"))
    resumed = Proposals(wanted, [first])
    record = propose(resumed, "t001")
    assert (record.origin, record.point["lower_lr"]) == ("known_good", 0.2)
    assert propose(resumed, "t002").origin == "tpe"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resumed_sweep_does_not_draw_the_same_points_again(sampler):
    wanted = space(protocol={"sampler": sampler})
    lived = Proposals(wanted)
    records = [end(lived, propose(lived, f"t{i:03d}")) for i in range(5)]
    resumed = Proposals(wanted, records_from_store(*store_rows(records, wanted)))
    again = [end(resumed, propose(resumed, f"t{i:03d}")) for i in range(5, 10)]
    assert not {r.point["lower_lr"] for r in records} & {r.point["lower_lr"] for r in again}


def test_points_from_before_the_space_changed_are_kept_where_they_fit():
    _, _, records = history()
    narrowed = {
        **PARAMETERS,
        "cg_iterations": {"type": "int", "low": 0, "high": 1},
        "solver": {"type": "categorical", "choices": ["identity", "layerwise_cg"]},
    }
    replayed = Proposals(space(parameters=narrowed), records[:5])
    assert all("solver" not in trial.params for trial in replayed.trials)
    assert all("lower_lr" in trial.params for trial in replayed.trials)
    assert all(trial.params.get("cg_iterations", 0) <= 1 for trial in replayed.trials)
    propose(replayed, "t005")


def test_points_from_before_there_were_steps_are_kept_where_they_fit():
    _, _, records = history()
    replayed = Proposals(space(parameters=STEPPED), records[:5])
    kept = [trial.params.get("cg_iterations") for trial in replayed.trials]
    lived = [record.point["cg_iterations"] for record in records[:5]]
    assert kept == [value if value in (1, 4, 7, 10) else None for value in lived]
    assert None in kept
    propose(replayed, "t005")


@pytest.mark.parametrize(("low", "on_a_step"), [(10, True), (20, False)])
def test_finetune_points_go_in_steps_and_begin_with_an_own_setting_on_one(low, on_a_step):
    epochs = {"finetune_epochs": {"type": "int", "low": low, "high": low + 780, "step": 39}}
    points = finetune_points(space(finetune_parameters=epochs, fixed={}), 8)
    assert all((point["finetune_epochs"] - low) % 39 == 0 for point in points)
    assert (points[0]["finetune_epochs"] == 400) == on_a_step, "400 epochs are the default"


def test_finetune_points_begin_with_the_spaces_own_setting():
    wanted = space(fixed={"alternations": 4})
    points = finetune_points(wanted, 6)
    assert len(points) == 6
    assert points[0] == {"finetune_lr": 0.03, "finetune_weight_decay": 1e-3}
    assert len({point["finetune_lr"] for point in points}) == 6
    for point in points:
        assert set(point) == set(FINETUNE)
        assert 0.001 <= point["finetune_lr"] <= 0.1
        assert 1e-5 <= point["finetune_weight_decay"] <= 1e-2
    # A longer list begins with a shorter one, whenever it is asked for.
    assert finetune_points(wanted, 9)[:6] == points
    assert finetune_points(wanted, 0) == []
    assert finetune_points(space(protocol={"seed": 1}), 6)[1:] != points[1:]


@pytest.mark.parametrize(
    "parameters",
    [
        {"finetune_lr": {"type": "float", "low": 0.5, "high": 1.0}},
        {"finetune_batch": {"type": "categorical", "choices": [16, 32, 64]}},
        {"finetune_epochs": {"type": "int", "low": 1, "high": 9}},
    ],
)
def test_an_own_setting_outside_the_range_is_not_proposed(parameters):
    wanted = space(finetune_parameters=parameters)
    points = finetune_points(wanted, 6)
    assert len(points) == 6
    for point in points:
        wanted.settings(point)
        assert point[next(iter(parameters))] in (16, 32, 64) or point[next(iter(parameters))] <= 9


def test_nothing_to_search_in_finetuning_gives_empty_points():
    assert finetune_points(space(finetune_parameters={}), 6) == [{}] * 6


def test_where_nothing_is_searched_the_space_itself_is_the_point():
    proposals = Proposals(space(protocol={"trials": 1}, parameters={}))
    assert proposals.ask("t000") == ({}, "fixed")


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_trial_that_paused_and_went_on_is_known_by_how_far_it_came(sampler):
    proposals = Proposals(space(protocol={"sampler": sampler}))
    records = [propose(proposals, f"t{i:03d}") for i in range(4)]
    for record in records[:3]:
        end(proposals, record, status="paused", alternations=1)
    running = propose(proposals, "t004")
    proposals.report("t004", 1, 0.3)
    first = records[0]
    first.status = "running"  # it goes on
    first.curve |= {2: 0.4, 3: 0.6}
    first.status, first.objective = "complete", 0.6
    proposals.tell(first)
    later = propose(proposals, "t005")
    known = {t.params["lower_lr"]: t for t in proposals.trials}
    assert len(known) == 6 and later.point["lower_lr"] in known
    found = known[first.point["lower_lr"]]
    if sampler == "tpe":
        assert (found.state, found.value, found.intermediate_values) == (TrialState.COMPLETE, 0.6, first.curve)
    else:  # nothing is learnt from it, and nothing told again
        assert found.state == TrialState.PRUNED
    assert {known[r.point["lower_lr"]].state for r in records[1:3]} == {TrialState.PRUNED}
    assert known[running.point["lower_lr"]].state == TrialState.RUNNING
    assert known[running.point["lower_lr"]].intermediate_values == {1: 0.3}
    running.status, running.objective = "complete", 0.3
    proposals.tell(running)
    end(proposals, later)
    assert sum(t.state == TrialState.COMPLETE for t in proposals.trials) == (3 if sampler == "tpe" else 2)


def test_what_is_told_again_takes_no_share_that_grows(monkeypatch):
    told = []
    monkeypatch.setattr(Proposals, "_replayed", lambda self, real=Proposals._replayed: told.append(0) or real(self))
    proposals = Proposals(space(protocol={"startup_trials": 1000}))
    for i in range(200):
        record = end(proposals, propose(proposals, f"t{i:03d}"), status="paused", alternations=1)
        record.status = "complete"
        proposals.tell(record)
    # Each of the first 20 times, then when a twentieth has come further: about 20 ln(200 / 20) times more.
    assert 50 < len(told) < 70


SOLVERS = {**PARAMETERS, "solver": {"type": "categorical", "choices": ["cg", "identity"]}}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_the_solver_does_not_read_is_not_proposed(sampler):
    known = [{"solver": "identity", "cg_iterations": 3, "lower_lr": 1.0, "direct_weight": 0.5}]
    wanted = space(parameters=SOLVERS, known_good=known, protocol={"sampler": sampler})
    proposals = Proposals(wanted)
    records = [end(proposals, propose(proposals, f"t{i:03d}")) for i in range(16)]
    for record in records:
        read = record.point["solver"] == "cg"
        assert set(record.point) == set(SOLVERS) - (set() if read else {"cg_iterations"})
        wanted.settings(record.point)
    assert {record.point["solver"] for record in records} == {"cg", "identity"}
    told = {trial.number: trial.params for trial in proposals.trials}
    if sampler == "tpe":  # and nothing is learnt from what was not
        assert [told[i] for i in range(16)] == [record.point for record in records]
    rows = Proposals(wanted, records_from_store(*store_rows(records, wanted)))
    if sampler == "tpe":
        assert [trial.params for trial in rows.trials[:16]] == [record.point for record in records]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_what_models_comes_nearer_than_chance(sampler):
    """After 40 trials of a smooth function of two settings; 10 of them at random."""

    def value(point):
        return 1 - (math.log(point["lower_lr"] / 1.3)) ** 2 - (point["direct_weight"] - 0.7) ** 2

    parameters = {name: PARAMETERS[name] for name in ("lower_lr", "direct_weight")}
    means = {}
    for name in (sampler, "random"):
        proposals = Proposals(space(parameters=parameters, protocol={"sampler": name, "startup_trials": 10}))
        values = []
        for i in range(40):
            record = propose(proposals, f"t{i:03d}")
            record.objective, record.status = value(record.point), "complete"
            proposals.tell(record)
            values.append(record.objective)
        means[name] = sum(values[20:]) / 20
    assert means[sampler] > means["random"] + 0.2, means
