"""What a sweep will take, said before it starts: against closed forms, Ray's own ASHA, and what sweeps stored."""

import random
from pathlib import Path

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.settings import Settings
from bissl_ray.search.cost import work_of
from bissl_ray.search.estimate import Pace, estimate, stopped_by_chance
from bissl_ray.search.forecast import SEARCH
from bissl_ray.search.history import planner_of, work_of_sweep
from bissl_ray.search.pace import pace_of_earlier
from bissl_ray.search.records import Record
from bissl_ray.sweep.scheduler import ExploreASHA
from bissl_ray.words import Phase, Step
from tests.search.small_space import space
from tests.search.whole_sweep import WholeSweep
from tests.sweep.stored_sweep import write_sweep

SIZES = {"pretext": 800, "train": 100, "validation": 300, "test": 597}
TUNING = Phase.CONFIRM, Step.TUNING
ASHA = Protocol(trials=40, grace=2, reduction_factor=2)


def test_without_early_stopping_all_go_to_the_end():
    whole = ASHA.model_copy(update={"early_stopping": False})
    assert list(stopped_by_chance(whole, 40, 9)) == [(9, 40.0)]


def test_paused_trials_go_on_one_in_so_many_and_as_many_as_are_confirmed():
    pauses = ASHA.model_copy(update={"at_a_rung": "pause", "finalists": 8})
    assert list(stopped_by_chance(pauses, 40, 9)) == [(2, 20.0), (4, 10.0), (8, 2.0), (9, 8.0)]


@pytest.mark.parametrize(("factor", "brackets"), [(2, 1), (3, 1), (2, 3)])
def test_as_many_are_stopped_as_ray_stops_where_scores_are_chance(factor, brackets):
    protocol = ASHA.model_copy(update={"reduction_factor": factor, "brackets": brackets})
    drawn = random.Random(factor)
    ends: dict[int, int] = {}
    repeats = 60
    for _ in range(repeats):
        asha = ExploreASHA(protocol, 9)
        for number in range(40):
            trial = Trial("x", config={"trial": f"t{number}", "explore": True, "alternations": 9}, stub=True)
            at = next(
                level
                for level in range(1, 10)
                if level == 9
                or asha.on_trial_result(None, trial, {"alternation": level, "objective": drawn.random()})
                == TrialScheduler.STOP
            )
            ends[at] = ends.get(at, 0) + 1
    said = dict(stopped_by_chance(protocol, 40, 9))
    assert said.keys() >= ends.keys()
    assert sum(said.values()) == pytest.approx(40)
    for level, number in said.items():
        # Ray's percentile lies between two ranks, and the trials of a bracket are a whole number.
        assert ends.get(level, 0) / repeats == pytest.approx(number, abs=1.2 if brackets == 1 else 2)


def test_it_adds_up_what_the_planner_foresees():
    runs = {SEARCH: 10, TUNING: 4}

    def work(kind, alternations):
        return 5.0 + alternations if kind == SEARCH else 30.0

    none_stopped = ASHA.model_copy(update={"early_stopping": False})
    pace = Pace({SEARCH: 20.0, TUNING: 9.0}, {SEARCH: 10.0, TUNING: 3.0}, "by hand")
    found = estimate(runs, none_stopped, 9, work, 2, pace)
    assert found.gradients == found.most_gradients == 10 * 14 + 4 * 30
    # Two at a time: ten trials of 14 gradients at 2 s, then four runs of 30 gradients at 3 s.
    assert found.seconds == found.most_seconds == 10 * 14 * 2 / 2 + 4 * 30 * 3 / 2

    stopped = estimate(runs, ASHA, 9, work, 2, pace)
    assert stopped.most_gradients == found.gradients
    ends = dict(stopped_by_chance(ASHA, 10, 9))
    assert stopped.gradients == pytest.approx(sum(n * (5 + level) for level, n in ends.items()) + 120)
    assert stopped.seconds < stopped.most_seconds == found.seconds


def test_a_kind_that_was_not_timed_goes_by_all_that_were():
    pace = Pace({SEARCH: 20.0, TUNING: 10.0}, {SEARCH: 10.0, TUNING: 5.0}, "by hand")
    assert pace.of((Phase.CONTROL, Step.SEEDS)) == 2.0


def test_without_a_pace_no_time_is_said():
    found = estimate({SEARCH: 10}, ASHA, 9, lambda kind, alternations: 1.0, 2, None)
    assert (found.seconds, found.most_seconds) == (None, None)


def stored(storage: Path, name: str, dataset: str = "digits", seconds: float = 0.5, **fixed: object) -> SweepRequest:
    """A finished sweep whose every run took so many seconds for a thousand gradients."""
    searched = space(dataset=dataset, fixed={"alternations": 4, **fixed})
    request = SweepRequest(name=name, data=DataChoice(dataset=dataset), space=searched)
    sweep = WholeSweep(searched)
    sweep.run()
    for record in sweep.records.values():
        record.seconds = seconds * _work(record, request) / 1000
    write_sweep(storage, sweep, request, gpu_seconds=0.0)
    return request


def _work(record: Record, request: SweepRequest) -> float:
    settings: Settings = request.space.settings(record.point)
    return work_of((record.phase, record.step), settings, SIZES, 1)


def test_the_pace_of_an_earlier_sweep_is_that_of_its_rows(tmp_path):
    request = stored(tmp_path, "earlier")
    pace = pace_of_earlier(str(tmp_path), request, on_gpus=False)
    assert pace is not None
    assert pace.source == "as sweep earlier went"
    assert len(pace.work) == 5
    for kind in pace.work:
        assert pace.of(kind) == pytest.approx(0.5 / 1000)


def test_the_same_dataset_comes_before_a_newer_sweep_of_another(tmp_path):
    request = stored(tmp_path, "a")
    stored(tmp_path, "b", dataset="cars")
    assert pace_of_earlier(str(tmp_path), request, on_gpus=False).source == "as sweep a went"


@pytest.mark.parametrize(
    "unlike", [{"backbone": "resnet18"}, {"pretext": "byol"}, {"image_size": 32}, {"precision": "bfloat16"}]
)
def test_a_sweep_of_another_kind_tells_nothing(tmp_path, unlike):
    stored(tmp_path, "other", **unlike)
    coming = SweepRequest(name="new", data=DataChoice(dataset="digits"), space=space())
    assert pace_of_earlier(str(tmp_path), coming, on_gpus=False) is None


def test_what_ran_on_cpus_tells_nothing_of_gpus_and_a_damaged_document_nothing_at_all(tmp_path):
    request = stored(tmp_path, "earlier")
    assert pace_of_earlier(str(tmp_path), request, on_gpus=True) is None
    (tmp_path / "sweeps/earlier/sweep.json").write_text("{")
    assert pace_of_earlier(str(tmp_path), request, on_gpus=False) is None


def test_a_sweep_that_went_before_is_foreseen_to_the_second(tmp_path):
    """Nothing searched changes the work here, and no trial is stopped: what was stored is what is said."""
    request = stored(tmp_path, "earlier")
    searched = space(
        parameters={"lower_lr": {"type": "float", "low": 0.1, "high": 1.0}}, protocol={"early_stopping": False}
    )
    coming = SweepRequest(name="new", data=DataChoice(dataset="digits"), space=searched)
    planner, _ = planner_of(coming, str(tmp_path))
    work = work_of_sweep(coming, SIZES)
    pace = pace_of_earlier(str(tmp_path), request, on_gpus=False)
    found = estimate(planner.to_come(), searched.protocol, 4, work, 1, pace)
    of_kinds = {kind: number * work(kind, None) for kind, number in planner.to_come().items()}
    assert found.gradients == pytest.approx(sum(of_kinds.values()))
    assert found.seconds == pytest.approx(0.5 / 1000 * found.gradients)
