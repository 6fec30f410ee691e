"""What a comparison is made of: cases, their configurations and plans, and what stands in its document."""

from pathlib import Path
from typing import Any

import pytest
import torch

from bissl_ray.compare.extend import extended, joined
from bissl_ray.compare.results import board_of
from bissl_ray.compare.run import check_comparison, read_comparison, unfinished
from bissl_ray.compare.starts import Start, starts_of
from bissl_ray.config import load_search_space
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.options import CompareOptions, SweepOptions
from bissl_ray.config.requests import CheckpointChoice, Comparison, SweepRequest
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.edges import edges
from bissl_ray.models import build_backbone
from bissl_ray.preflight import session as preflight_session
from bissl_ray.preflight import sweeps as preflight
from bissl_ray.sweep.run import prepare_request, resume_sweep
from tests.cli.command import tiny_space
from tests.compare.asking import of_winner, options, prepared
from tests.search.small_space import space as small_space
from tests.search.whole_sweep import WholeSweep
from tests.sweep.stored_sweep import write_sweep


def test_checkpoints_are_called_by_label_or_file(tmp_path: Path) -> None:
    odd = tmp_path / "a=b c.pth"
    odd.touch()
    given = [str(odd), "long=x/simclr.pth", "y/byol 500.pth"]
    found = starts_of(CompareOptions(pretrained=given, pretrain_epochs="5, 20"))
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
        ([], "5,020", "found '020', .*read it as 16 or as 20"),
        ([], "5,1e2", "found '1e2', .*; write 100$"),
        (["a b=x.pth"], None, "found the label 'a b'"),
    ],
)
def test_checkpoints_that_can_not_be_told_apart(pretrained: list[str], epochs: str | None, expected: str) -> None:
    with pytest.raises(BadInputError, match=expected):
        starts_of(CompareOptions(pretrained=pretrained, pretrain_epochs=epochs))


def test_a_head_belongs_to_one_checkpoint() -> None:
    one = CompareOptions(pretrained=["x.pth"], pretrained_head="h.pth")
    assert starts_of(one) == [Start("x", pretrained="x.pth", head="h.pth")]
    (case,) = prepared("c", ["cars"], [Start("x", pretrained="/x.pth", head="/h.pth")]).cases
    assert case.request.pretrained.head == "/h.pth"
    for pretrained, epochs in ([], None), (["x.pth", "y.pth"], None), (["x.pth"], "5"):
        with pytest.raises(BadInputError, match=r"--pretrained-head h.pth: found . checkpoints.*, expected the one"):
            starts_of(CompareOptions(pretrained=pretrained, pretrain_epochs=epochs, pretrained_head="h.pth"))


def test_one_configuration_is_held_and_both_sides_are_tuned_as_long() -> None:
    own = load_search_space("digits")
    comparison = prepared("c", ["digits"], [Start("5ep", epochs=5), Start("20ep", epochs=20)])
    assert [case.sweep for case in comparison.cases] == ["c-digits-5ep", "c-digits-20ep"]
    for case, epochs in zip(comparison.cases, (5, 20), strict=True):
        space = case.request.space
        assert space.settings({}) == own.settings({**own.complete(own.known_good[0]), "pretrain_epochs": epochs})
        assert space.parameters == {} and space.finetune_parameters == own.finetune_parameters
        plan = space.protocol
        assert (plan.trials, plan.finalists, plan.seeds) == (1, 1, own.protocol.seeds)
        assert plan.finetune_runs == own.protocol.finalists * own.protocol.finetune_runs


def test_the_plan_is_fair() -> None:
    (case,) = prepared("c", ["digits"], seeds=3).cases
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
    (case,) = prepared("c", ["digits"], settings=settings).cases
    found = case.request.space.settings({})
    assert (found.upper_lr, found.finetune_lr, found.damping, found.lower_lr) == (0.02, 0.1, 7.0, 0.3)
    assert set(case.request.space.finetune_parameters) == {"finetune_weight_decay"}


def test_with_no_fine_tuning_searched_it_runs_once(tmp_path: Path) -> None:
    settings = {"finetune_lr": 0.1, "finetune_weight_decay": 1e-4}
    for trials in (None, 9):
        (case,) = prepared("c", ["digits"], trials=trials, settings=settings).cases
        assert case.request.space.finetune_parameters == {} and case.request.space.protocol.finetune_runs == 1
    (case,) = prepared("c", ["digits"], settings=settings).cases
    sweep = WholeSweep(case.request.space).run()
    assert len(sweep.of("control", "tuning")) == len(sweep.of("confirm", "tuning")) == 1
    assert len(sweep.of("control", "seeds")) == len(sweep.of("confirm", "seeds")) == 5
    request = prepare_request(SweepOptions(space=tiny_space(tmp_path), overrides={"fixed": {"finetune_lr": 0.1}}))
    assert (request.space.protocol.finetune_runs, request.space.protocol.finalists) == (1, 2)
    path = tmp_path / "held.yaml"
    path.write_text("dataset: digits\nfixed: {upper_lr: 0.02}\nprotocol: {trials: 1}\n")
    protocol = prepare_request(SweepOptions(space=path)).space.protocol
    assert (protocol.finetune_runs, protocol.finalists) == (1, 1)


def test_searching_keeps_the_spaces_plan(tmp_path: Path) -> None:
    path = tiny_space(tmp_path)
    (case,) = prepared("c", space=path, trials=9, seeds=4, settings={"upper_lr": 0.05}).cases
    space = case.request.space
    assert set(space.parameters) == {"lower_lr", "cg_iterations"}
    assert space.known_good == [{"lower_lr": 0.3, "cg_iterations": 2, "damping": 20.0}]
    assert (space.protocol.trials, space.protocol.finalists, space.protocol.seeds) == (9, 2, 4)


def test_the_published_point_is_that_of_the_pretext() -> None:
    start = [Start("x", pretrained="x.pth")]
    for pretext, upper_lr in (("simclr", 0.035), ("byol", 0.04)):
        (case,) = prepared("c", ["cars"], start, settings={"pretext": pretext}).cases
        settings = case.request.space.settings({})
        assert (settings.pretext, settings.upper_lr) == (pretext, upper_lr)
        assert case.request.pretrained.file == str(Path("x.pth").absolute())


def test_without_a_checkpoint_only_an_embedded_dataset_pretrains() -> None:
    assert prepared("c").cases[0].checkpoint == "20ep"
    with pytest.raises(BadInputError, match="cars needs a self-supervised checkpoint of resnet50 to compare from"):
        prepared("c", ["cars"])


def test_without_a_known_good_point_there_is_nothing_to_hold(tmp_path: Path) -> None:
    path = tiny_space(tmp_path, known_good=[])
    with pytest.raises(BadInputError, match="no known-good point of simclr to compare at: give --trials N"):
        prepared("c", space=path)
    with pytest.raises(BadInputError, match="no known-good point of vicreg"):
        prepared("c", ["cars"], [Start("x", pretrained="x.pth")], settings={"pretext": "vicreg"})
    (case,) = prepared("c", space=path, settings={"upper_lr": 0.05}).cases
    assert case.request.space.settings({}).lower_lr == 1.0, "the default, where it is searched"


def test_at_a_sweeps_winner_over_seeds_that_it_has_not_seen(tmp_path: Path) -> None:
    own = small_space(protocol={"trials": 5}, known_good=[{"lower_lr": 0.5, "damping": 20.0}])
    sweep = WholeSweep(own).run()
    for record in sweep.of("explore", "search"):
        record.point["damping"] = 20.0  # as if each were a known-good point that sets it
    request = SweepRequest(
        name="s", data=DataChoice("digits"), pretrained=CheckpointChoice(file="/models/simclr.pth"), space=own
    )
    write_sweep(tmp_path, sweep, request)
    winner = sweep.records[sweep.planner.confirmed("confirm")[0].parent or ""]
    (case,) = of_winner("c", "s", storage=str(tmp_path)).cases
    space = case.request.space
    found = space.settings({})
    assert {name: getattr(found, name) for name in winner.point} == winner.point
    assert found.finetune_lr == own.settings({}).finetune_lr, "fine-tuning is tuned anew"
    assert set(space.finetune_parameters) == set(own.finetune_parameters) and space.parameters == {}
    assert (case.sweep, case.request.pretrained.file) == ("c-digits-own", "/models/simclr.pth")
    again = WholeSweep(space).run()
    seen = {record.seed for record in sweep.of("confirm", "seeds")}
    assert seen == {1, 2} and {record.seed for record in again.of("control", "seeds")} == {3, 4}


def test_a_sweep_without_a_winner_has_nothing_to_compare_at(tmp_path: Path) -> None:
    own = small_space()
    write_sweep(tmp_path, WholeSweep(own), SweepRequest(name="s", data=DataChoice("digits"), space=own))
    with pytest.raises(BadInputError, match="no confirmed configuration yet; finish it first: bissl-ray resume s"):
        of_winner("c", "s", storage=str(tmp_path))


def test_fine_tuning_that_the_winner_had_is_kept(tmp_path: Path) -> None:
    own = small_space(protocol={"trials": 3}, known_good=[{"lower_lr": 0.5}])
    sweep = WholeSweep(own).run()
    for record in sweep.of("explore", "search"):
        record.point |= {"finetune_epochs": 7, "finetune_lr": 0.5, "pretrain_epochs": 9}
    request = SweepRequest(
        name="s",
        data=DataChoice("digits"),
        pretrained=CheckpointChoice(file="/m/x.pth", head="/m/h.pth", allow_partial=True),
        space=own,
    )
    write_sweep(tmp_path, sweep, request)

    def at_winner(*found: Start, **how: Any) -> SweepRequest:
        (case,) = of_winner("c", "s", found, storage=str(tmp_path), **how).cases
        return case.request

    kept = at_winner()
    assert kept.space.settings({}).finetune_epochs == 7, "not searched: both sides of the comparison have it"
    assert "finetune_lr" not in kept.space.fixed and kept.space.settings({}).pretrain_epochs != 9
    # The sweep's own checkpoint is read as the sweep read it, another one as it is said now.
    same, other = at_winner(Start("a", "/m/x.pth")), at_winner(Start("a", "/m/y.pth"))
    assert kept.pretrained == same.pretrained == request.pretrained
    assert other.pretrained == CheckpointChoice(file="/m/y.pth")
    said = at_winner(Start("a", "/m/y.pth", head="/m/g.pth"), allow_partial=True)
    assert said.pretrained == CheckpointChoice(file="/m/y.pth", head="/m/g.pth", allow_partial=True)


def cars(**others: Any) -> Comparison:
    """A comparison on cars and dtd that has begun."""
    start = [Start("x", pretrained="/m/x.pth")]
    return prepared("c", ["cars", "dtd"], start, seeds=3, data_dir="/old", settings={"damping": 7.0}, **others)


def test_what_is_added_to_a_comparison_is_of_its_own_datasets_and_settings() -> None:
    known = cars()
    longer = extended(known, [Start("y", pretrained="/m/y.pth", head="/m/h.pth"), Start("40ep", epochs=40)], options())
    assert [(case.dataset, case.checkpoint) for case in longer.cases] == [
        *(("cars", label) for label in ("x", "y", "40ep")),
        *(("dtd", label) for label in ("x", "y", "40ep")),
    ]
    for old, case in zip((known.cases[0],) * 3 + (known.cases[1],) * 3, longer.cases, strict=True):
        request = case.request
        assert case.sweep == f"c-{case.dataset}-{case.checkpoint}" and request.data.data_dir == "/old"
        expected = {"pretrain_epochs": 40} if case.checkpoint == "40ep" else {}
        assert request.space.settings({}) == old.request.space.settings({}).model_copy(update=expected)
        assert request.space.protocol == old.request.space.protocol
        assert (
            request.pretrained
            == {
                "x": CheckpointChoice(file="/m/x.pth"),
                "y": CheckpointChoice(file="/m/y.pth", head="/m/h.pth"),
                "40ep": None,
            }[case.checkpoint]
        )
    assert extended(longer, [Start("x", pretrained="/m/x.pth"), Start("40ep", epochs=40)], options()) == longer
    with pytest.raises(BadInputError, match="comparison c has cars from x already, with other settings"):
        extended(known, [Start("x", pretrained="/m/other.pth")], options())
    (*_, partial) = extended(known, [Start("y", pretrained="/m/y.pth")], options(**{"allow_partial": True})).cases
    assert partial.request.pretrained.allow_partial


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ({"seeds": 4}, "--seeds"),
        ({"trials": 9}, "--trials"),
        ({"settings": {"upper_lr": 0.9}, "workers_per_trial": 2}, "--set and --workers-per-trial"),
        ({"gpus_per_worker": 0.5}, "--gpus-per-worker"),
        ({"splits_dir": "/splits"}, "--splits-dir"),
        ({"pretext_data_dir": "/imagenet"}, "--pretext-data-dir"),
        ({"pretext_dataset": "imagenet"}, "--pretext-dataset"),
        ({"allow_partial": True}, "--allow-partial"),
    ],
)
def test_what_would_change_a_comparison_is_refused(given: dict[str, Any], flags: str) -> None:
    expected = (
        f"comparison c has begun, and {flags} would change it: leave the options out to go on with it, or name what to "
        "add with --dataset or --pretrained"
    )
    with pytest.raises(BadInputError) as refused:
        extended(cars(), [], options(**given))
    assert str(refused.value) == expected


def test_what_is_said_again_changes_nothing() -> None:
    assert extended(cars(), [], options(seeds=3, settings={"damping": 7.0}, data_dir="/old")) == cars()
    searched = prepared("c", trials=4, data_dir="/anywhere")
    assert extended(searched, [], options(trials=4, data_dir="/elsewhere")) == searched, "digits need no folder"


def test_trials_of_every_case_share_a_gpu() -> None:
    known = cars(gpus_per_worker=0.25)
    longer = extended(known, [Start("y", pretrained="/m/y.pth")], options(gpus_per_worker=0.25))
    assert [case.request.gpus_per_worker for case in longer.cases] == [0.25] * 4
    assert {case.request.gpus_per_worker for case in cars().cases} == {None}


def test_data_that_have_moved_are_found() -> None:
    known = cars(splits_dir="/s", pretext_dataset="imagenet")
    moved = extended(known, [], options(**{"data_dir": "/new", "pretext_data_dir": "/i", "splits_dir": "/t"}))
    again = joined(known, cars(splits_dir="/s", pretext_dataset="imagenet").model_copy(update={"cases": moved.cases}))
    for data in (case.request.data for case in (*moved.cases, *again.cases)):
        assert (data.data_dir, data.pretext_data_dir, data.splits_dir) == ("/new", "/i", "/t")
    (*_, added) = extended(known, [Start("y", pretrained="/m/y.pth")], options(**{"data_dir": "/new"})).cases
    assert added.checkpoint == "y" and added.request.data.data_dir == "/new"


def test_what_cases_share_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    for module, name in ((preflight_session, "inspect_data"), (preflight, "read_checkpoint")):
        look = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, name=name, look=look: (looks.append(name), look(*a))[1])
    file = str(tmp_path / "x.pth")
    torch.save(build_backbone("smallconv").state_dict(), file)
    found = [Start("a", file), Start("b", file), Start("5ep", epochs=5), Start("20ep", epochs=20)]
    notes = check_comparison(prepared("c", starts=found), str(tmp_path / "runs"), None)
    assert sorted(looks) == ["inspect_data", "read_checkpoint"]
    assert notes["c-digits-a"] == notes["c-digits-b"] and "20 of its 20 tensors match" in notes["c-digits-a"][1]
    assert "begins with a fresh one" in notes["c-digits-a"][-1] and len(notes["c-digits-5ep"]) == 1


def test_going_on_adds_and_changes_nothing() -> None:
    first = prepared("c", starts=[Start("5ep", epochs=5)])
    longer = prepared("c", starts=[Start("5ep", epochs=5), Start("20ep", epochs=20)])
    assert joined(None, first) == first
    assert joined(first, longer) == longer
    assert joined(Comparison.model_validate_json(first.model_dump_json()), longer) == longer
    with pytest.raises(BadInputError, match="comparison c has digits from 5ep already, with other settings"):
        joined(first, prepared("c", starts=[Start("5ep", epochs=5)], seeds=9))


def test_cases_of_a_dataset_stand_together_by_length_of_pretraining() -> None:
    one, other = ([Start("file", pretrained="x.pth"), Start("80ep", epochs=80)], [Start("5ep", epochs=5)])
    comparison = joined(joined(None, prepared("c", ["cars", "dtd"], one)), prepared("c", ["dtd", "cars"], other))
    assert [(case.dataset, case.checkpoint) for case in comparison.cases] == [
        *(("cars", label) for label in ("file", "5ep", "80ep")),
        *(("dtd", label) for label in ("file", "5ep", "80ep")),
    ]


def test_what_is_finished_is_read_and_what_is_not_is_named(tmp_path: Path) -> None:
    comparison = prepared("c", starts=[Start("5ep", epochs=5), Start("20ep", epochs=20)], seeds=6)
    first, second = comparison.cases
    sweep = WholeSweep(first.request.space).run()
    write_sweep(tmp_path, sweep, first.request)
    assert unfinished(comparison, str(tmp_path)) == [second]
    done, not_begun = board_of(comparison, str(tmp_path)).cases
    tested = {p: {r.seed: r.test_metric for r in sweep.planner.confirmed(p)} for p in ("confirm", "control")}
    assert done.gains == {seed: tested["confirm"][seed] - tested["control"][seed] for seed in range(1, 7)}
    assert done.tests.wilcoxon is not None and done.facts.finished
    assert done.control.labelled >= done.bissl.labelled and done.control.unlabelled == 0
    assert not_begun.sentence == "No run so far on digits from 20ep." and not not_begun.facts.finished
    best = (sweep.planner.confirmed(p)[0].point for p in ("confirm", "control"))
    assert done.facts.edges == [edge.sentence for edge in edges(first.request.space, *best)]


def test_a_look_at_the_test_split_that_failed_is_left_to_do(tmp_path: Path) -> None:
    comparison = prepared("c", seeds=2)
    sweep = WholeSweep(comparison.cases[0].request.space, test_metric=lambda record: float("nan")).run()
    write_sweep(tmp_path, sweep, comparison.cases[0].request)
    assert len(unfinished(comparison, str(tmp_path))) == 1
    assert read_comparison(str(tmp_path), "c") is None


def test_a_held_configuration_can_not_be_extended(tmp_path: Path) -> None:
    (case,) = prepared("c", seeds=2).cases
    write_sweep(tmp_path, WholeSweep(case.request.space).run(), case.request)
    with pytest.raises(BadInputError, match="--trials 5: sweep c-digits-20ep searches nothing"):
        resume_sweep(case.sweep, storage=str(tmp_path), trials=5)
