"""From names to the earlier sweeps that a new one starts from; what is kept, and said."""

import pytest

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard import read_board
from bissl_ray.search.history import planner_of
from bissl_ray.store import SweepWriter
from bissl_ray.sweep.warm import warm_sources
from tests.search.small_space import space, store_rows
from tests.search.whole_sweep import WholeSweep
from tests.sweep.stored_sweep import write_sweep


def stored(storage, name, dataset="digits", **sections):
    """A finished sweep whose explore trials have curves."""
    searched = space(dataset=dataset, **sections)
    request = SweepRequest(name=name, data=DataChoice(dataset=dataset), space=searched)
    sweep = WholeSweep(searched).run()
    for record in sweep.of("explore", "search"):
        record.curve = {1: record.objective / 2, 4: record.objective}
    write_sweep(storage, sweep, request, objective_name="validation_top1")
    with SweepWriter(storage, dataset, name, parameter_types()) as writer:
        for report in store_rows(list(sweep.records.values()), searched)[1]:
            writer.report(report)
    return sweep


def test_it_has_what_was_confirmed_as_best_and_all_that_was_explored(tmp_path):
    sweep = stored(tmp_path, "night")
    (found,) = warm_sources("night", space(), str(tmp_path))
    winner = sweep.planner.confirmed("confirm")[0].parent
    best = sweep.records[winner].point
    assert found.best["lower_lr"] == best["lower_lr"]
    assert found.best["cg_iterations"] == best["cg_iterations"]
    assert [trial.objective for trial in found.trials] == [r.objective for r in sweep.of("explore", "search")]
    assert {trial.alternation for trial in found.trials} == {4}
    assert all(set(trial.point) == set(space().parameters) for trial in found.trials)


def test_a_dataset_means_its_newest_sweep(tmp_path):
    stored(tmp_path, "cars-20260101-000000", dataset="cars")
    stored(tmp_path, "cars-20261101-000000", dataset="cars")
    stored(tmp_path, "night")
    found = warm_sources("cars,night", space(), str(tmp_path))
    assert [(each.sweep, each.dataset) for each in found] == [("cars-20261101-000000", "cars"), ("night", "digits")]


def test_points_are_brought_into_the_new_ranges_and_what_a_null_stands_for_is_kept(tmp_path):
    stored(tmp_path, "night")
    narrow = space(
        parameters={
            "lower_lr": {"type": "float", "low": 1.0, "high": 1.05, "log": True},
            "proximity_weight_stem": {"type": "float", "low": 1e-4, "high": 10.0, "log": True},
        }
    )
    (found,) = warm_sources("night", narrow, str(tmp_path))
    assert all(1.0 <= trial.point["lower_lr"] <= 1.05 for trial in found.trials)
    assert {trial.point["proximity_weight_stem"] for trial in found.trials} == {narrow.settings({}).proximity_weight}, (
        "of a sweep that left it null, the weight of the whole"
    )


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ("nigth", "no dataset of one, 'nigth' in .*: there are night, digits; did you mean 'night'"),
        ("night,night", "each once"),
        ("night,,", "each once"),
    ],
)
def test_names_that_are_none(tmp_path, names, line):
    stored(tmp_path, "night")
    with pytest.raises(BadInputError, match=line):
        warm_sources(names, space(), str(tmp_path))


def test_what_tells_nothing_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="it holds no sweep yet"):
        warm_sources("night", space(), str(tmp_path))
    stored(tmp_path, "night")
    fixed = space(parameters={}, protocol={"trials": 1})
    with pytest.raises(BadInputError, match="searches nothing"):
        warm_sources("night", fixed, str(tmp_path))
    for file in (tmp_path / "results").rglob("reports-*"):
        file.unlink()
    with pytest.raises(BadInputError, match="none of its trials has a score"):
        warm_sources("night", space(), str(tmp_path))


def test_the_new_sweep_keeps_it_and_the_board_says_what_it_brought(tmp_path):
    stored(tmp_path, "night")
    searched = space()
    warm = warm_sources("night", searched, str(tmp_path))
    request = SweepRequest(name="day", data=DataChoice(dataset="digits"), space=searched, warm=warm)
    document = SweepDocument(request=request, pretrain=True)
    again = SweepDocument.from_any_version(document.model_dump(mode="json")).request
    assert again.warm == warm
    planner, _ = planner_of(again, str(tmp_path / "elsewhere"))
    assert planner.next().record.origin == "warm:night"

    sweep = WholeSweep(searched)
    sweep.planner._proposer = planner_of(again, str(tmp_path / "elsewhere"))[1]
    sweep.run()
    write_sweep(tmp_path / "elsewhere", sweep, again, objective_name="validation_top1")
    (verdict,) = read_board(tmp_path / "elsewhere").verdicts
    (said,) = verdict.warm_started
    assert said.startswith("Drawn from night: 2 trials, the best in place ")
    assert said.endswith("% of those that it proposed itself.")
    assert said in verdict.notes
