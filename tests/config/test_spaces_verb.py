"""The verb ``spaces``, run through typer as the command line runs it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from bissl_ray.cli.spaces import spaces
from bissl_ray.config import SearchSpace, load_search_space, to_yaml
from bissl_ray.errors import BadInputError

app = typer.Typer()
app.command()(spaces)


def test_lists_what_ships() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    for word in ("cars", "resnet50", "digits", "smallconv", "proximity_weight", "finetune_lr", "16 trials"):
        assert word in result.output


def test_prints_one_as_yaml_or_json() -> None:
    assert CliRunner().invoke(app, ["cars"]).output == to_yaml(load_search_space("cars"))
    printed = CliRunner().invoke(app, ["cars", "--format", "json"]).output
    assert SearchSpace.model_validate_json(printed) == load_search_space("cars")
    assert json.loads(printed)["fixed"]["backbone"] == "resnet50"


@pytest.mark.parametrize(
    ("arguments", "words"), [(["crs"], "did you mean 'cars'"), (["--format", "json"], "found no name")]
)
def test_bad_input_reaches_the_caller(arguments: list[str], words: str) -> None:
    refused = CliRunner().invoke(app, arguments).exception
    assert isinstance(refused, BadInputError)
    assert words in str(refused)
