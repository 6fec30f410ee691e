"""Every verb prints on what people have: any encoding, narrow and dumb terminals, pipes that close."""

import ast
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bissl_ray.cli.plain_text import JSON, encodable, stand_in
from bissl_ray.cli.terminal import Terminal
from bissl_ray.leaderboard import LiveBoard
from bissl_ray.progress import Note, SweepProgress
from bissl_ray.store import SweepWriter, read_trials, to_rows
from tests.cli.command import Done, environment, run
from tests.earlier.storage import unpack_release_0_1

ROOT = Path(__file__).parents[2]
REASON = "class 鷲 has no image of θ_D…"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a storage, `runs`, and `odd`, where a trial failed for a reason in Chinese and Greek."""
    folder = tmp_path_factory.mktemp("stored")
    unpack_release_0_1(folder)
    with SweepWriter(folder / "odd", "cars", "first", {"upper_lr": float}) as writer:
        why = {"status": "failed", "status_reason": REASON}
        writer.trial({"trial": "a", "phase": "explore", "step": "search", "objective_name": "top1", **why})
    return folder


@pytest.fixture
def printed(stored, monkeypatch):
    """Run a command in this process on streams of an encoding."""

    def run_on(encoding: str, *arguments: str, columns: int = 80) -> Done:
        from bissl_ray.cli.main import main

        streams = [io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2)]
        monkeypatch.chdir(stored)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "argv", ["bissl-ray", *arguments])
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = (stream.buffer.getvalue().decode(encoding) for stream in streams)
        return Done(int(end.value.code or 0), out, err)

    return run_on


SAID = [
    ("ascii", "leaderboard --sweep done", ["digits | done", "t000 !=", "+/- gain", "gradient of theta_D", "\n -----"]),
    ("latin-1", "leaderboard --sweep done", ["digits · done", "t000 !=", "± gain", "gradient of theta_D"]),
    ("cp1252", "leaderboard --sweep done", ["digits · done", "t002 = !=", "± gain", "gradient of theta_D"]),
    ("utf-8", "leaderboard --sweep done", ["digits · done", "t002 ≡ ≢", "± gain", "gradient of θ_D", "\n ─────"]),
    ("utf-16", "leaderboard --sweep done", ["digits · done", "t002 ≡ ≢", "± gain", "gradient of θ_D"]),
    ("ascii", "leaderboard --sweep done --format md", ["| +/- gain |", "t000 !="]),
    ("ascii", "leaderboard --storage odd", [r"class \u9df2 has no image of theta_D..."]),
    ("cp1252", "leaderboard --storage odd", [r"class \u9df2 has no image of theta_D…"]),
    ("ascii", "show t000 --sweep done", ["t000  digits | done", "changed the gradient of theta_D", " 50.0%     #"]),
    ("latin-1", "show a --storage odd", [r"class \u9df2 has no image of theta_D..."]),
    ("ascii", "compare --name cmp", ["58.7 +/- 11.7", "digits | cmp | test split"]),
    ("ascii", "datasets", ["Oxford-IIIT Pets", "-----"]),
    ("ascii", "datasets check digits --quick", ["Nothing is wrong."]),
    ("ascii", "spaces", ["resnet50", "-----"]),
    ("ascii", "spaces digits", ["dataset: digits"]),
    ("cp1252", "launch slurm.sbatch", ["#SBATCH"]),
    ("ascii", "sweep --dataset digits --dry-run", ["# data: 10 classes"]),
    ("ascii", "export --sweep done --config", ["dataset: digits"]),
    ("ascii", "--help", ["leaderboard"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("encoding", "command", "expected"), SAID)
def test_a_verb_says_it_in_what_the_stream_holds(printed, encoding, command, expected):
    done = printed(encoding, *command.split())
    assert done.code == 0, done.err
    assert [text for text in expected if text not in done.out] == [], done.out


@pytest.mark.parametrize("columns", [60, 80, 140])
@pytest.mark.parametrize("verb", ["leaderboard --sweep done", "compare --name cmp"])
def test_stand_ins_that_are_wider_leave_columns_straight(printed, verb, columns):
    lines = printed("ascii", *verb.split(), columns=columns).out.splitlines()
    rule = next(place for place, line in enumerate(lines) if line.startswith(" ---"))
    assert "+/-" in "".join(lines) or columns == 60
    assert {len(line) for line in lines[: rule + 3]} == {len(lines[rule])} and len(lines[rule]) <= columns


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_what_programs_read_has_no_stand_in(printed, encoding):
    rows = json.loads(printed(encoding, "leaderboard", "--storage", "odd", "--format", "json").out)["rows"]
    assert rows[0]["status_reason"] == REASON
    done = printed(encoding, "leaderboard", "--storage", "odd", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done.out))
    exact = REASON.encode(encoding, "backslashreplace").decode(encoding)
    assert row["status_reason"] == exact
    assert ("PYTHONIOENCODING=utf-8" in done.err) == (exact != REASON)


@pytest.mark.parametrize("text", ["θ", "鷲", "\U0001f600", "\udce9", "plain"])
def test_json_reads_back_the_same_from_any_encoding(text):
    for encoding in ("ascii", "latin-1", "utf-8"):
        assert json.loads(encodable(json.dumps(text, ensure_ascii=False), encoding, JSON)) == text


@pytest.mark.parametrize(
    ("character", "plain"),
    [
        *[
            ("◆", "*"),
            ("≡", "="),
            ("≢", "!="),
            ("±", "+/-"),
            ("…", "..."),
            ("·", "|"),
            ("−", "-"),
            ("–", "-"),
            ("→", "->"),
        ],
        *[("─", "-"), ("│", "|"), ("┼", "+"), ("█", "#"), ("▁", "_"), ("≤", "<=")],
        *[("θ", "theta"), ("Θ", "Theta"), ("λ", "lambda")],
        *[("é", "\\xe9"), ("鷲", "\\u9df2"), ("\udce9", "\\xe9")],
    ],
)
def test_a_character_has_a_plain_stand_in_or_an_escape(character, plain):
    assert stand_in(character) == plain


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_text_of_the_storage_moves_no_cursor(tmp_path, printed, encoding):
    with SweepWriter(tmp_path, "cars", "first", {"solver": str}) as writer:
        why = {"status": "failed", "status_reason": "\x1b[31mred\x07\r\u202eback", "param_solver": "c\x1bg"}
        writer.trial({"trial": "a", "phase": "explore", "step": "search", "objective_name": "top1", **why})
    for arguments in (("show", "a"), ("leaderboard", "--format", "md"), ("leaderboard",)):
        done = printed(encoding, *arguments, "--storage", str(tmp_path), columns=140)
        assert done.code == 0 and not {"\x1b", "\x07", "\r", "\u202e"} & {*done.out}
    # The bell and the return, rich leaves out.
    assert r"\x1b[31mred\u202eback" in printed(encoding, "show", "a", "--storage", str(tmp_path), columns=140).out


@pytest.mark.slow
def test_every_character_that_is_printed_has_a_stand_in():
    texts = []
    # Of what is read, or escaped in a page.
    of_what_is_read = {"scalars.py", "yaml_syntax.py", "split_words.py", "drawing.py"}
    for path in (ROOT / "bissl_ray").rglob("*.py"):
        if path.name in of_what_is_read:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings are not printed
        texts += [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in said]
    printed = {character for text in texts if isinstance(text, str) for character in text if not character.isascii()}
    assert {"θ", "±", "≢"} <= printed
    assert [character for character in printed if stand_in(character).startswith("\\")] == []


REFUSED = [
    ("ascii", "show θ --sweep done", "no trial 'theta'"),
    ("ascii", "datasets --data-dir odd\udce9", "--data-dir odd\\xe9: found no folder"),
    ("utf-8", "datasets --data-dir odd\udce9", "--data-dir odd\\xe9: found no folder"),
    ("utf-8", "leaderboard --storage odd\udce9", "storage odd\\xe9: found a name that is not UTF-8"),
    ("latin-1", "sweep --dataset 鷲", "\\u9df2"),
    ("ascii", "leaderboard --wher…", "No such option"),
]


@pytest.mark.parametrize(("encoding", "command", "expected"), REFUSED)
def test_a_refusal_is_a_line_in_what_the_stream_holds(printed, encoding, command, expected):
    done = printed(encoding, *command.split())
    assert done.code == 2 and done.err.count("\n") == 1 and expected in done.err, done


VERBS = ["leaderboard", "show t000 --sweep done", "datasets", "datasets --data-dir .", "spaces", "launch"]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("columns", [20, 40])
@pytest.mark.parametrize("verb", [*VERBS, "compare --name cmp", "datasets check digits --quick", "sweep --help"])
def test_narrow_terminals_are_kept_to_and_nothing_is_cut(printed, verb, columns, encoding):
    done = printed(encoding, *verb.split(), columns=columns)
    assert done.code == 0 and "…" not in done.out
    if columns == 40 and verb in VERBS:
        table = done.out.partition("\n\nAll but digits")[0].partition("\nPrint one:")[0]
        assert max(map(len, table.splitlines())) <= 40


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("leaderboard --sweep done", ["control-f0", "confirmed", "score %"]),
        ("show t000 --sweep done", ["projector_output", "relative residual", "seed 1, complete, 59.7%"]),
        ("datasets", ["digits_scenes", "Oxford-IIIT", "per class"]),
        ("spaces", ["caltech101", "smallconv"]),
        ("launch", ["several_machines.sh"]),
    ],
)
def test_at_40_columns_no_word_is_broken(printed, verb, words):
    out = printed("utf-8", *verb.split(), columns=40).out
    assert [word for word in words if word not in out] == [], out


def test_width_zero_is_no_width(printed):
    assert "Oxford-IIIT" in printed("utf-8", "datasets", columns=0).out


@pytest.mark.parametrize(
    ("variables", "terminal", "coloured", "redrawn"),
    [
        ({}, True, True, True),
        ({"NO_COLOR": "1"}, True, False, True),
        ({"TERM": "dumb"}, True, False, False),
        ({}, False, False, False),
        ({"FORCE_COLOR": "1"}, False, True, False),
    ],
)
def test_colours_and_redrawing_follow_stream_and_environment(monkeypatch, variables, terminal, coloured, redrawn):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", "COLUMNS": "40", **variables}.items():
        monkeypatch.setenv(name, value)
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", errors="bissl_ray.stand_in", write_through=True)
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdout", stream)
    with LiveBoard(Terminal(), "θ") as board:
        board.show(SweepProgress("exploring", total=2, done=1, running=1, pruned=0, failed=0, elapsed=1.0))
        board.show(Note("note …"))
    Terminal().print("here", style="red")
    written = stream.buffer.getvalue().decode("ascii")
    assert ("\x1b[31m" in written) == coloured and ("\x1b[?1049h" in written) == redrawn
    assert "note ..." in written and "1 of 2" in written


@pytest.mark.parametrize("height", [12, 30])
def test_the_live_view_at_40_columns_folds_its_lines(stored, monkeypatch, height):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", str(height))
    monkeypatch.setenv("TERM", "xterm")
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", stream)
    trials = [row for row in to_rows(read_trials(stored / "runs")) if row["sweep"] == "done"]
    trouble = "3 rows wait in memory: No space left on device"
    with LiveBoard(Terminal(), "bissl-ray sweep digits-20261122-043321") as board:
        for done in (1, 2):
            board.show(SweepProgress("exploring", 20, done, 2, 1, 0, 65.0, trials=lambda: trials, trouble=trouble))
            board.show(Note("a note that stays"))
        written = stream.buffer.getvalue().decode()
    picture = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.rpartition("\x1b[H")[2])
    assert max(map(len, picture.splitlines())) <= 40
    assert len(picture.strip().splitlines()) <= height
    assert "device" in picture and (height == 12 or "a note that stays" in picture)
    assert stream.buffer.getvalue().decode().rpartition("\x1b[?1049l")[2].count("a note that stays") == 2


def test_python_keeps_its_streams():
    script = "import sys, bissl_ray; bissl_ray.load_trials; print(sys.stdout.encoding, sys.stdout.errors)"
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, env=environment(PYTHONIOENCODING="ascii"), cwd=ROOT, capture_output=True, text=True)
    assert said.stdout == "ascii strict\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_the_real_command_writes_ascii_where_that_is_all(stored, variables):
    done = run("leaderboard", "--storage", "odd", cwd=stored, **variables)
    assert done.code == 0 and done.out.isascii() and "theta_D..." in done.out
    helped = run("--help", cwd=stored, **variables)
    assert helped.code == 0 and helped.out.isascii()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "code"),
    [("| true", 141), ("2>&1 | true", 141), (">&-", 0), (">&- 2>&- <&-", 0), ("> /dev/full", 1)],
)
@pytest.mark.parametrize("verb", ["datasets", "spaces digits", "leaderboard --storage odd --format json"])
def test_an_output_that_nobody_takes_ends_without_a_traceback(stored, verb, redirection, code):
    command = f"{sys.executable} -m bissl_ray {verb} {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=stored, env=environment(), capture_output=True, text=True)
    assert done.returncode == code, done
    assert done.stderr == ("bissl-ray: [Errno 28] No space left on device\n" if code == 1 else "")


@pytest.mark.slow
def test_a_dumb_terminal_gets_no_control_codes(stored):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "bissl_ray", "leaderboard", "--sweep", "done"]
    process = subprocess.Popen(command, cwd=stored, env=environment(TERM="dumb"), stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:  # how a terminal whose last process has ended reads on Linux
        pass
    os.close(ours)
    assert process.wait() == 0 and b"\x1b" not in said and "t000 ≢".encode() in said
