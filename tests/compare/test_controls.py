"""Controls of a comparison beside plain fine-tuning: their cases, their spaces, and that each is tuned alike."""

import json
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.compare.controls import as_it_runs, main_case
from bissl_ray.compare.prepare import prepare_comparison
from bissl_ray.compare.results import board_of
from bissl_ray.compare.run import plan_of, unfinished
from bissl_ray.compare.starts import Start
from bissl_ray.config.controls import controls_of
from bissl_ray.config.requests import Comparison, SweepRequest
from bissl_ray.controls import CONTROLS
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.comparison.render import comparison_json
from bissl_ray.search.cost import alignment_gradients
from bissl_ray.search.history import planner_of
from bissl_ray.words import Kind, Phase
from tests.compare.asking import options, prepared
from tests.search.whole_sweep import WholeSweep
from tests.sweep.stored_sweep import write_sweep

EVERY = "gradients,joint,continued,identity,scratch,frozen"
STARTS = [Start("5ep", epochs=5), Start("20ep", epochs=20)]


def spaces(**asked: Any) -> dict[str, SweepRequest]:
    comparison = prepared("c", control=EVERY, starts=STARTS[:1], **asked)
    return {case.control: case.request for case in comparison.cases}


@pytest.mark.parametrize(
    ("given", "found"), [("plain", ()), ("joint, identity", ("joint", "identity")), (EVERY, tuple(EVERY.split(",")))]
)
def test_names_with_commas_between(given: str, found: tuple[str, ...]) -> None:
    assert controls_of(given) == found


@pytest.mark.parametrize(
    ("given", "expected"), [("jiont", "found 'jiont', expected names of plain, .* joint"), ("joint,", "found ''")]
)
def test_other_names_are_refused(given: str, expected: str) -> None:
    with pytest.raises(BadInputError, match=f"--control {given}: {expected}"):
        controls_of(given)


def test_each_follows_the_case_that_it_is_of() -> None:
    comparison = prepared("c", control="joint,scratch", starts=STARTS)
    assert [case.sweep for case in comparison.cases] == [
        f"c-digits-{label}{control}" for label in ("5ep", "20ep") for control in ("", "-joint", "-scratch")
    ]
    assert Comparison.model_validate_json(comparison.model_dump_json()) == comparison
    assert main_case(comparison, comparison.cases[4]) == comparison.cases[3]


def test_going_on_adds_controls_to_every_case_and_keeps_those_that_there_are() -> None:
    first = prepared("c", control="joint", starts=STARTS[:1])
    more = prepare_comparison(options(control="scratch"), "c", "/nowhere", first)
    assert [case.control for case in more.cases] == ["plain", "joint", "scratch"]
    longer = prepare_comparison(options(STARTS), "c", "/nowhere", more)
    assert [case.control for case in longer.cases] == ["plain", "joint", "scratch"] * 2
    assert prepare_comparison(options(), "c", "/nowhere", longer) == longer


def test_each_is_tuned_as_bissl_is() -> None:
    for asked in ({}, {"trials": 9}, {"seeds": 4}):
        found = spaces(**asked)
        own = found["plain"].space.protocol
        for name, request in found.items():
            plan = request.space.protocol
            assert plan.seeds == own.seeds and plan.first_seed == own.first_seed
            assert plan.finalists * plan.finetune_runs == own.finalists * own.finetune_runs, name
            assert plan.trials == (own.trials if name != "joint" or own.trials > 1 else 4)
            assert request.space.finetune_parameters == found["plain"].space.finetune_parameters
            assert (request.data, request.pretrained) == (found["plain"].data, found["plain"].pretrained)


def test_what_is_searched_of_each() -> None:
    held, searched = spaces(), spaces(trials=9)
    assert list(held["joint"].space.parameters) == ["joint_weight"]
    assert not any(held[name].space.parameters for name in ("plain", "identity", "continued"))
    everything = list(searched["plain"].space.parameters)
    assert {"lower_lr", "upper_lr", "cg_iterations", "proximity_weight", "damping"} <= set(everything)
    of_both = [name for name in everything if name not in ("cg_iterations", "proximity_weight", "damping")]
    assert [*searched["joint"].space.parameters] == [*of_both, "joint_weight"]
    assert [*searched["continued"].space.parameters] == of_both
    assert "proximity_weight" in searched["identity"].space.parameters
    assert not {"cg_iterations", "damping"} & set(searched["identity"].space.parameters)
    assert searched["identity"].space.settings({}).solver == "identity"


@pytest.mark.parametrize("trials", [None, 9])
@pytest.mark.parametrize("control", [name for name in CONTROLS if name != "plain"])
def test_one_side_alone_runs(control: str, trials: int | None, tmp_path: Path) -> None:
    request = spaces(trials=trials)[control]
    planner, _ = planner_of(request, str(tmp_path))
    sweep = WholeSweep(request.space, only=Kind.BISSL if CONTROLS[control].aligns else Kind.CONTROL).run()
    phases = {record.phase for record in sweep.records.values()}
    aligns = CONTROLS[control].aligns
    assert phases == ({Phase.EXPLORE, Phase.CONFIRM} if aligns else {Phase.CONTROL})
    assert planner.expected == len(sweep.records) == sweep.planner.expected
    assert len(sweep.tested) == request.space.protocol.seeds


def test_a_control_is_paired_with_bissl_over_seeds(tmp_path: Path) -> None:
    comparison = prepared("c", control="scratch,joint", starts=STARTS[:1], seeds=3)
    main, joint, scratch = comparison.cases
    ours = WholeSweep(main.request.space).run()
    write_sweep(tmp_path, ours, main.request)
    board = board_of(comparison, str(tmp_path))
    assert [case.facts.finished for case in board.cases] == [True, False, False]
    assert board.cases[1].sentence == "No run of joint training so far on digits from 5ep."
    other = WholeSweep(scratch.request.space, only=Kind.CONTROL, test_metric=lambda record: 0.25).run()
    write_sweep(tmp_path, other, scratch.request)
    assert unfinished(comparison, str(tmp_path)) == [joint]
    board = board_of(comparison, str(tmp_path))
    tested = {record.seed: record.test_metric for record in ours.planner.confirmed(Phase.CONFIRM)}
    (found,) = [case for case in board.cases if case.facts.control == "scratch"]
    assert found.gains == pytest.approx({seed: score - 0.25 for seed, score in tested.items()})
    assert found.facts.finished and "for training from scratch on the test split" in found.sentence
    assert [case.facts.control for case in board.against_plain] == ["plain"]
    told = {row["against"]: row["control"] for row in json.loads(comparison_json(board))["rows"]}
    assert told["scratch"] == 0.25 and told["joint"] is None and 0 < told["plain"] < 1


def test_as_many_gradients_as_bissl_took(tmp_path: Path) -> None:
    comparison = prepared("c", control="gradients", starts=STARTS[:1], seeds=2)
    main, control = comparison.cases
    with pytest.raises(BadInputError, match="c-digits-5ep has no confirmed configuration"):
        as_it_runs(comparison, control, str(tmp_path))
    sweep = WholeSweep(main.request.space).run()
    write_sweep(tmp_path, sweep, main.request, hvps=40)
    request = as_it_runs(comparison, control, str(tmp_path))
    settings = request.space.settings({})
    sizes = {"train": 100, "validation": 300, "test": 597, "pretext": 800}
    assert settings.finetune_extra_images == alignment_gradients(main.request.space.settings({}), sizes, 1, 40) > 0
    assert request.data == main.request.data
    assert as_it_runs(comparison, main, str(tmp_path)) == main.request


def test_the_plan_names_each(tmp_path: Path) -> None:
    comparison = prepared("c", control=EVERY, starts=STARTS[:1])
    lines = "\n".join(plan_of(comparison, comparison.cases, {}))
    for control in CONTROLS.values():
        assert control.title == "fine-tuning" or f"  {control.title}: " in lines


def test_few_labels_make_cases_of_their_own(tmp_path: Path) -> None:
    first = prepared("c", ["digits"], STARTS[:1], labels_per_class=3, control="scratch")
    asked = options(STARTS[:1], datasets=["digits"], labels_per_class=1)
    both = prepare_comparison(asked, "c", str(tmp_path), first)
    assert [case.checkpoint for case in both.cases] == ["5ep-1labels"] * 2 + ["5ep-3labels"] * 2
    assert [case.control for case in both.cases] == ["plain", "scratch"] * 2
    assert [case.request.data.labels_per_class for case in both.cases] == [1, 1, 3, 3]
    # One more length of pretraining, for every number of labels that there is.
    longer = prepare_comparison(options(STARTS[1:]), "c", str(tmp_path), both)
    assert [case.checkpoint for case in longer.cases if case.control == "plain"] == [
        f"{length}ep-{labels}labels" for labels in (1, 3) for length in (5, 20)
    ]
    assert prepare_comparison(options(), "c", str(tmp_path), longer) == longer


def test_draws_of_the_labels_make_cases_of_their_own(tmp_path: Path) -> None:
    first = prepared("c", ["digits"], STARTS[:1], labels_per_class=3)
    asked = options(STARTS[:1], datasets=["digits"], labels_per_class=3, label_draw=2)
    both = prepare_comparison(asked, "c", str(tmp_path), first)
    assert [case.checkpoint for case in both.cases] == ["5ep-3labels", "5ep-3labels-draw2"]
    assert [case.request.data.label_draw for case in both.cases] == [None, 2]
    longer = prepare_comparison(options(STARTS[1:]), "c", str(tmp_path), both)
    assert [case.checkpoint for case in longer.cases] == [
        f"{length}ep-3labels{draw}" for draw in ("", "-draw2") for length in (5, 20)
    ]
