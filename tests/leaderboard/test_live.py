import io
import re

import pytest
from rich.console import Console

from bissl_ray.leaderboard import LiveBoard
from bissl_ray.progress import Decoding, Note, StageEnded, SweepProgress


def progress(done, rows=(), **more):
    return SweepProgress(
        "exploring",
        total=20,
        done=done,
        running=2,
        pruned=0,
        failed=0,
        elapsed=65.0,
        trials=lambda: rows,
        objective_name="validation_top1",
        **more,
    )


def test_without_a_terminal_a_line_is_printed_when_there_is_news():
    console = Console(file=io.StringIO(), width=80)
    with LiveBoard(console, "cars-night") as board:
        board.show(progress(0))
        board.show(progress(0))
        board.show(progress(1, left=3600.0, best=("cars-00001", 0.5)))
        board.show(progress(2, paused=3))
        board.show(progress(2, trouble="3 rows wait in memory: No space left on device"))
    lines = console.file.getvalue().splitlines()
    assert lines == [
        "exploring: 0 of 20 done, 2 running, 1m 05s elapsed",
        "exploring: 1 of 20 done, 2 running, 1m 05s elapsed, about 1h 00m left, best 50.0% (cars-00001)",
        "exploring: 2 of 20 done, 2 running, 3 paused, 1m 05s elapsed",
        "exploring: 2 of 20 done, 2 running, 1m 05s elapsed, 3 rows wait in memory: No space left on device",
    ]


def test_decoding_is_a_line_when_it_begins_and_moves_in_a_terminal():
    plain = Console(file=io.StringIO(), width=80)
    drawn = Console(file=io.StringIO(), width=100, height=24, force_terminal=True, color_system=None)
    for console in (plain, drawn):
        with LiveBoard(console, "cars-night") as board:
            for done in (0, 12_000, 30_000):
                board.show(progress(0, doing=Decoding(done, 50_000).words))
    assert plain.file.getvalue().splitlines() == [
        "exploring: 0 of 20 done, 2 running, 1m 05s elapsed, decoding 0 of 50,000 images (once per machine)"
    ]
    assert "decoding 12,000 of 50,000 images (once per machine)" in drawn.file.getvalue()
    assert "decoding 30,000 of 50,000 images (once per machine)" in drawn.file.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 50), (60, 10)])
def test_in_a_terminal_the_picture_fits(decided, width, height):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with LiveBoard(console, "cars-night") as board:
        board.show(progress(7, decided * 1, left=100.0, best=("a", 0.72)))
        board.show(progress(8, decided * 1, left=90.0, best=("a", 0.72)))
        drawn = console.file.getvalue()  # at the end it makes room for the board
    picture = drawn.rpartition("\x1b[H")[2]
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in picture.splitlines()]
    assert len(lines) <= height and max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "8 of 20" in text and "best so far 72.0%" in text and "about 1m 30s left" in text and "confirmed" in text
    assert ("what happened" in text and "d failed: CUDA out of memory" in text) == (height >= 24)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_note_is_a_line_that_stays_as_it_is(terminal):
    console = Console(file=io.StringIO(), width=40, height=24, force_terminal=terminal, color_system=None)
    line = "decoded 5,000 images into [bold]/tmp/a/folder[/bold] with a name longer than the terminal is wide"
    with LiveBoard(console, "cars-night") as board:
        board.show(progress(0))
        board.show(Note(line))
        board.show(progress(1))
    written = console.file.getvalue()
    assert written.count(line) == 1 and written.index(line) > written.index("0 of 20")


def test_events_that_it_has_no_picture_for_leave_it_alone():
    console = Console(file=io.StringIO(), width=80)
    with LiveBoard(console, "cars-night") as board:
        board.show(StageEnded("head"))
        board.show(Decoding(1, 2))
    assert console.file.getvalue() == ""
