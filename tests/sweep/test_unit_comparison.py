"""What a comparison is made of: cases, their configurations and plans, and what stands in its document."""

from pathlib import Path

import pytest

from bissl_ray.config import load_search_space
from bissl_ray.config.comparison import Comparison
from bissl_ray.config.request import SweepRequest
from bissl_ray.errors import BadInputError
from bissl_ray.store import SweepWriter, write_sweep_document
from bissl_ray.sweep.compare import joined, read_comparison, unfinished
from bissl_ray.sweep.comparison import comparison_of_winner, prepare_comparison
from bissl_ray.sweep.comparison_board import board_of
from bissl_ray.sweep.experiment import parameter_types
from bissl_ray.sweep.run import resume_sweep
from bissl_ray.sweep.starts import Start, starts
from tests.cli.command import tiny_space
from tests.sweep.small_space import space as small_space
from tests.sweep.small_space import store_rows
from tests.sweep.whole_sweep import WholeSweep


def test_checkpoints_are_called_by_label_or_file(tmp_path: Path) -> None:
    odd = tmp_path / "a=b c.pth"
    odd.touch()
    found = starts([str(odd), "long=x/simclr.pth", "y/byol 500.pth"], "5, 20")
    assert [(start.label, start.epochs) for start in found] == [
        ("a-b-c", None),
        ("long", None),
        ("byol-500", None),
        ("5ep", 5),
        ("20ep", 20),
    ]
    assert [start.pretrained for start in found[:3]] == [str(odd), "x/simclr.pth", "y/byol 500.pth"]


@pytest.mark.parametrize(
    ("pretrained", "epochs", "expected"),
    [
        (["a/x.pth", "b/x.pth"], None, "two checkpoints are called x: tell them apart"),
        ([], "5,5", "two checkpoints are called 5ep"),
        ([], "5,many", "found 'many', expected whole numbers"),
        ([], "0", "found '0'"),
        (["a b=x.pth"], None, "found the label 'a b'"),
    ],
)
def test_checkpoints_that_can_not_be_told_apart(pretrained: list[str], epochs: str | None, expected: str) -> None:
    with pytest.raises(BadInputError, match=expected):
        starts(pretrained, epochs)


def test_one_configuration_is_held_and_both_sides_are_tuned_as_long() -> None:
    own = load_search_space("digits")
    comparison = prepare_comparison("c", ["digits"], [Start("5ep", epochs=5), Start("20ep", epochs=20)])
    assert [case.sweep for case in comparison.cases] == ["c-digits-5ep", "c-digits-20ep"]
    for case, epochs in zip(comparison.cases, (5, 20), strict=True):
        space = case.request.space
        assert space.settings({}) == own.settings({**own.complete(own.known_good[0]), "pretrain_epochs": epochs})
        assert space.parameters == {} and space.finetune_parameters == own.finetune_parameters
        plan = space.protocol
        assert (plan.trials, plan.finalists, plan.seeds) == (1, 1, own.protocol.seeds)
        assert plan.finetune_runs == own.protocol.finalists * own.protocol.finetune_runs


def test_the_plan_is_fair() -> None:
    (case,) = prepare_comparison("c", ["digits"], seeds=3).cases
    sweep = WholeSweep(case.request.space, slots=2).run()
    assert len(sweep.of("explore", "search")) == 1
    points = [
        sorted((r.point["finetune_lr"], r.point["finetune_weight_decay"]) for r in sweep.of(phase, "tuning"))
        for phase in ("confirm", "control")
    ]
    assert points[0] == points[1] and len(points[0]) == 8
    seeds = [sorted(r.seed for r in sweep.of(phase, "seeds")) for phase in ("confirm", "control")]
    assert seeds[0] == seeds[1] == [1, 2, 3]
    assert len(sweep.tested) == 6, "every seed of both sides is looked at on the test split, once"


def test_settings_have_the_last_word() -> None:
    settings = {"upper_lr": 0.02, "finetune_lr": 0.1, "damping": 7.0}
    (case,) = prepare_comparison("c", ["digits"], settings=settings).cases
    found = case.request.space.settings({})
    assert (found.upper_lr, found.finetune_lr, found.damping, found.lower_lr) == (0.02, 0.1, 7.0, 0.3)
    assert set(case.request.space.finetune_parameters) == {"finetune_weight_decay"}


def test_searching_keeps_the_spaces_plan(tmp_path: Path) -> None:
    path = tiny_space(tmp_path)
    (case,) = prepare_comparison("c", space=path, trials=9, seeds=4, settings={"upper_lr": 0.05}).cases
    space = case.request.space
    assert set(space.parameters) == {"lower_lr", "cg_iterations"}
    assert space.known_good == [{"lower_lr": 0.3, "cg_iterations": 2, "damping": 20.0}]
    assert (space.protocol.trials, space.protocol.finalists, space.protocol.seeds) == (9, 2, 4)


def test_the_published_point_is_that_of_the_pretext() -> None:
    start = [Start("x", pretrained="x.pth")]
    for pretext, upper_lr in (("simclr", 0.035), ("byol", 0.04)):
        (case,) = prepare_comparison("c", ["cars"], start, settings={"pretext": pretext}).cases
        settings = case.request.space.settings({})
        assert (settings.pretext, settings.upper_lr) == (pretext, upper_lr)
        assert case.request.pretrained == str(Path("x.pth").absolute())


def test_without_a_checkpoint_only_an_embedded_dataset_pretrains() -> None:
    assert prepare_comparison("c").cases[0].checkpoint == "20ep"
    with pytest.raises(BadInputError, match="cars needs a self-supervised checkpoint of resnet50 to compare from"):
        prepare_comparison("c", ["cars"])


def test_without_a_known_good_point_there_is_nothing_to_hold(tmp_path: Path) -> None:
    path = tiny_space(tmp_path, known_good=[])
    with pytest.raises(BadInputError, match="no known-good point of simclr to compare at: give --trials N"):
        prepare_comparison("c", space=path)
    with pytest.raises(BadInputError, match="no known-good point of vicreg"):
        prepare_comparison("c", ["cars"], [Start("x", pretrained="x.pth")], settings={"pretext": "vicreg"})
    (case,) = prepare_comparison("c", space=path, settings={"upper_lr": 0.05}).cases
    assert case.request.space.settings({}).lower_lr == 1.0, "the default, where it is searched"


def write_sweep(storage: Path, sweep: WholeSweep, request: SweepRequest) -> None:
    """Leave behind what a sweep that ran so far would."""
    sizes = {"classes": 10, "pretext": 800, "train": 100, "validation": 300, "test": 597}
    write_sweep_document(storage, request.name, {"request": request.model_dump(mode="json"), "data": sizes})
    with SweepWriter(storage, request.dataset, request.name, parameter_types()) as writer:
        for row in store_rows(list(sweep.records.values()), sweep.space)[0]:
            writer.trial(row)


def test_at_a_sweeps_winner_over_seeds_that_it_has_not_seen(tmp_path: Path) -> None:
    own = small_space(protocol={"trials": 5}, known_good=[{"lower_lr": 0.5, "damping": 20.0}])
    sweep = WholeSweep(own).run()
    for record in sweep.of("explore", "search"):
        record.point["damping"] = 20.0  # as if each were a known-good point that sets it
    request = SweepRequest(name="s", dataset="digits", pretrained="/models/simclr.pth", space=own)
    write_sweep(tmp_path, sweep, request)
    winner = sweep.records[sweep.planner.confirmed("confirm")[0].parent or ""]
    (case,) = comparison_of_winner("c", "s", storage=str(tmp_path)).cases
    space = case.request.space
    found = space.settings({})
    assert {name: getattr(found, name) for name in winner.point} == winner.point
    assert found.finetune_lr == own.settings({}).finetune_lr, "fine-tuning is tuned anew"
    assert set(space.finetune_parameters) == set(own.finetune_parameters) and space.parameters == {}
    assert (case.sweep, case.request.pretrained) == ("c-digits-own", "/models/simclr.pth")
    again = WholeSweep(space).run()
    seen = {record.seed for record in sweep.of("confirm", "seeds")}
    assert seen == {1, 2} and {record.seed for record in again.of("control", "seeds")} == {3, 4}


def test_a_sweep_without_a_winner_has_nothing_to_compare_at(tmp_path: Path) -> None:
    own = small_space()
    write_sweep(tmp_path, WholeSweep(own), SweepRequest(name="s", dataset="digits", space=own))
    with pytest.raises(BadInputError, match="no confirmed configuration yet; finish it first: bissl-ray resume s"):
        comparison_of_winner("c", "s", storage=str(tmp_path))


def test_going_on_adds_and_changes_nothing() -> None:
    first = prepare_comparison("c", starts=[Start("5ep", epochs=5)])
    longer = prepare_comparison("c", starts=[Start("5ep", epochs=5), Start("20ep", epochs=20)])
    assert joined(None, first) == first
    assert joined(first, longer) == longer
    assert joined(Comparison.model_validate_json(first.model_dump_json()), longer) == longer
    with pytest.raises(BadInputError, match="comparison c has digits from 5ep already, with other settings"):
        joined(first, prepare_comparison("c", starts=[Start("5ep", epochs=5)], seeds=9))


def test_cases_of_a_dataset_stand_together_by_length_of_pretraining() -> None:
    one, other = ([Start("file", pretrained="x.pth"), Start("80ep", epochs=80)], [Start("5ep", epochs=5)])
    comparison = joined(
        joined(None, prepare_comparison("c", ["cars", "dtd"], one)), prepare_comparison("c", ["dtd", "cars"], other)
    )
    assert [(case.dataset, case.checkpoint) for case in comparison.cases] == [
        *(("cars", label) for label in ("file", "5ep", "80ep")),
        *(("dtd", label) for label in ("file", "5ep", "80ep")),
    ]


def test_what_is_finished_is_read_and_what_is_not_is_named(tmp_path: Path) -> None:
    comparison = prepare_comparison("c", starts=[Start("5ep", epochs=5), Start("20ep", epochs=20)], seeds=6)
    first, second = comparison.cases
    sweep = WholeSweep(first.request.space).run()
    write_sweep(tmp_path, sweep, first.request)
    assert unfinished(comparison, str(tmp_path)) == [second]
    done, not_begun = board_of(comparison, str(tmp_path)).cases
    tested = {p: {r.seed: r.test_metric for r in sweep.planner.confirmed(p)} for p in ("confirm", "control")}
    assert done.gains == {seed: tested["confirm"][seed] - tested["control"][seed] for seed in range(1, 7)}
    assert done.tests.wilcoxon is not None and done.facts.finished
    assert done.finetuning.labelled >= done.bissl.labelled and done.finetuning.unlabelled == 0
    assert not_begun.sentence == "No run so far on digits from 20ep." and not not_begun.facts.finished


def test_a_look_at_the_test_split_that_failed_is_left_to_do(tmp_path: Path) -> None:
    comparison = prepare_comparison("c", seeds=2)
    sweep = WholeSweep(comparison.cases[0].request.space, test_metric=lambda record: float("nan")).run()
    write_sweep(tmp_path, sweep, comparison.cases[0].request)
    assert len(unfinished(comparison, str(tmp_path))) == 1
    assert read_comparison(str(tmp_path), "c") is None


def test_a_held_configuration_can_not_be_extended(tmp_path: Path) -> None:
    (case,) = prepare_comparison("c", seeds=2).cases
    write_sweep(tmp_path, WholeSweep(case.request.space).run(), case.request)
    with pytest.raises(BadInputError, match="--trials 5: sweep c-digits-20ep searches nothing"):
        resume_sweep(case.sweep, storage=tmp_path, trials=5)
