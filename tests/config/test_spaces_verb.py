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
    for word in ("cars", "resnet50", "digits", "smallconv", "proximity_weight", "finetune_lr", "trials"):
        assert word in result.output
    rows = {words[0]: words[1:] for line in result.output.splitlines() if (words := line.split())}
    assert rows["digits"] == ["smallconv", "simclr", "16", "1", "16", "2", "4", "5"]
    assert rows["stl10"] == ["resnet50", "simclr", "96", "0", "50", "3", "4", "5"]


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
