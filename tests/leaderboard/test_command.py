"""The verbs leaderboard and show, as commands over a real storage."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from bissl_ray.cli.leaderboard import leaderboard, show
from bissl_ray.errors import BadInputError
from tests.cli.command import run_here


@pytest.fixture
def run(storage):
    app = typer.Typer()
    app.command()(leaderboard)
    app.command()(show)

    def invoke(*arguments):
        result = CliRunner().invoke(app, [*arguments, "--storage", str(storage)], env={"COLUMNS": "100"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def trials(result):
    return [row["trial"] for row in json.loads(result.stdout)["rows"]]


def test_filter_sort_and_top_together(decided, run):
    assert trials(run("leaderboard", "--format", "json")) == ["a", "k1", "b", "e", "c", "d"]
    chosen = run(
        "leaderboard", "--format", "json", "--where", "kind = 'bissl'", "--sort", "-param_upper_lr", "--top", "2"
    )
    assert trials(chosen) == ["d", "c"]
    assert json.loads(chosen.stdout)["rows"][1]["rank"] == 4, "ranks are those among all"


def test_top_counts_per_dataset_and_dataset_chooses(decided, explore, stored, run):
    stored([explore("z", 0.9), explore("y", 0.8)], dataset="digits", sweep="other")
    # The control, k1, stays and is not counted.
    assert trials(run("leaderboard", "--format", "json", "--top", "1")) == ["a", "k1", "z"]
    assert trials(run("leaderboard", "--format", "json", "--dataset", "digits")) == ["z", "y"]
    assert trials(run("leaderboard", "--format", "json", "--sweep", "first", "--top", "1")) == ["a", "k1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["leaderboard", "--dataset", "car"], "did you mean 'cars'"),
        (["leaderboard", "--sweep", "frist"], "did you mean 'first'"),
        (["leaderboard", "--sort", "objectiv"], "did you mean 'objective'"),
        (["leaderboard", "--where", "uper_lr > 1"], "did you mean"),
        (["leaderboard", "--watch"], "terminal"),
        (["show", "aa"], "no trial 'aa'"),
    ],
)
def test_bad_input_is_refused_in_one_line(decided, run, arguments, message):
    with pytest.raises(BadInputError, match=message) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)


def test_what_the_table_calls_a_row_is_told_from_its_columns(decided, run):
    result = run("leaderboard", "--where", "status = 'confirmed'")
    assert "what the table calls confirmed is standing = 'confirmed'" in result.stderr
    empty = run("leaderboard", "--where", "status = 'nothing'", "--format", "csv")
    assert (empty.stdout, empty.stderr) == ("", "no trial satisfies --where \"status = 'nothing'\"\n")


@pytest.mark.parametrize(("storage", "said"), [("", "an empty storage"), ("file", "is a file, a folder was expected")])
def test_a_storage_that_can_be_none_is_refused(tmp_path, monkeypatch, capsys, storage, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    for verb in (("leaderboard",), ("show", "t000"), ("export",)):
        done = run_here(monkeypatch, capsys, *verb, "--storage", storage)
        assert done.code == 2 and said in done.err and done.err.count("\n") == 1, verb


def test_top_must_be_positive(decided, run):
    assert run("leaderboard", "--top", "0").exit_code == 2


def test_an_empty_storage_says_what_to_run(run, storage):
    storage.mkdir()
    result = run("leaderboard", "--format", "json")
    assert result.exit_code == 0 and "bissl-ray sweep" in result.stderr
    assert json.loads(result.stdout) == {"rows": [], "verdicts": []}
    with pytest.raises(BadInputError, match="bissl-ray sweep"):
        run("show", "a")


def test_a_damaged_file_is_named_on_stderr_and_the_rest_is_shown(decided, storage, run):
    (storage / "results/dataset=cars/sweep=first/trials-9.parquet").write_bytes(b"PAR1")
    result = run("leaderboard", "--format", "json")
    assert "trials-9.parquet" in result.stderr and trials(result)[0] == "a"


def test_show_asks_which_sweep_when_several_have_the_trial(decided, explore, stored, run):
    stored([explore("a", 0.9)], sweep="second")
    with pytest.raises(BadInputError, match=r"--sweep: first \(cars\), second \(cars\)"):
        run("show", "a")
    assert "90.0%" in run("show", "a", "--sweep", "second").stdout
    assert "CUDA out of memory" in run("show", "d").stdout


def test_neither_torch_nor_ray_nor_pandas_is_imported(decided, storage):
    program = (
        "import sys; from bissl_ray.cli.leaderboard import show_board, show_trial\n"
        "from bissl_ray.config.options import BoardOptions, ShowOptions\n"
        f"show_board(BoardOptions(storage={str(storage)!r})); show_trial(ShowOptions(storage={str(storage)!r}), 'a')\n"
        "sys.exit(', '.join({'torch', 'ray', 'pandas', 'scipy', 'optuna'} & sys.modules.keys()) or None)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
