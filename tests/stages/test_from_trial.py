"""A trial of a sweep gives a stage its settings."""

import json
from pathlib import Path

import pytest

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.options import StageOptions, SweepOptions
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.stages.prepare import prepare_stage
from bissl_ray.store import SweepWriter
from bissl_ray.store.documents import write_document
from bissl_ray.sweep.run import prepare_request
from tests.cli.command import tiny_space


@pytest.fixture
def storage(tmp_path: Path) -> str:
    """A sweep that has run one trial, as it is written down."""
    request = prepare_request(SweepOptions(space=tiny_space(tmp_path, protocol={"seed": 4}), name="night"))
    write_document(tmp_path / "runs", "night", SweepDocument(request=request))
    settings = request.space.settings({"lower_lr": 0.123, "cg_iterations": 1, "clip_norm": None})
    row = {f"param_{name}": value for name, value in settings}
    with SweepWriter(tmp_path / "runs", "digits", "night", parameter_types()) as writer:
        writer.trial({"trial": "t007", "status": "complete", "phase": "explore", "step": "search", **row})
    return str(tmp_path / "runs")


@pytest.mark.parametrize("text", ["night/t007", "t007"])
def test_every_setting_is_the_trials(storage: str, text: str) -> None:
    flags = StageOptions(from_trial=text, storage=storage, assignments=["lower_lr=0.5"], start="x.pt")
    request, resolved = prepare_stage("train", flags)
    assert (request.dataset, request.data.split_seed) == ("digits", 4)
    settings = resolved.settings
    assert (settings.lower_lr, settings.cg_iterations, settings.clip_norm) == (0.5, 1, None)
    assert resolved.origin("lower_lr") == "--set" and resolved.origin("cg_iterations") == "trial night/t007"
    assert set(resolved.origins) == set(Settings.model_fields)


@pytest.mark.parametrize(("text", "expected"), [("night/t001", "no trial 't001'"), ("day/t007", "no sweep 'day'")])
def test_a_trial_that_is_not_there(storage: str, text: str, expected: str) -> None:
    with pytest.raises(BadInputError, match=expected):
        prepare_stage("train", StageOptions(from_trial=text, storage=storage))


def test_a_sweep_that_another_release_wrote(storage: str) -> None:
    document = Path(storage, "sweeps", "night", "sweep.json")
    document.write_text(json.dumps({"request": {"name": "night", "of": "the future"}}))
    with pytest.raises(BadInputError, match=r"--from-trial night/t007: .*sweep.json: request"):
        prepare_stage("train", StageOptions(from_trial="night/t007", storage=storage))
