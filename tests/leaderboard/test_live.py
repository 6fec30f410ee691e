import io
import re

import pytest
from rich.console import Console

from bissl_ray.data.cache.news import decoding_words
from bissl_ray.leaderboard import LiveBoard, SweepProgress


def progress(done, rows=(), **more):
    return SweepProgress(
        "exploring", total=20, done=done, running=2, pruned=0, failed=0, elapsed=65.0, trials=rows, **more
    )


def test_without_a_terminal_a_line_is_printed_when_there_is_news():
    console = Console(file=io.StringIO(), width=80)
    with LiveBoard(console, "cars-night") as board:
        board.update(progress(0))
        board.update(progress(0))
        board.update(progress(1, left=3600.0, best=("cars-00001", 0.5)))
        board.update(progress(1, trouble="3 rows wait in memory: No space left on device"))
    lines = console.file.getvalue().splitlines()
    assert lines == [
        "exploring: 0 of 20 done, 2 running, 1m 05s elapsed",
        "exploring: 1 of 20 done, 2 running, 1m 05s elapsed, about 1h 00m left, best 50.0% (cars-00001)",
        "exploring: 1 of 20 done, 2 running, 1m 05s elapsed, 3 rows wait in memory: No space left on device",
    ]


def test_decoding_is_a_line_when_it_begins_and_moves_in_a_terminal():
    plain = Console(file=io.StringIO(), width=80)
    drawn = Console(file=io.StringIO(), width=100, height=24, force_terminal=True, color_system=None)
    for console in (plain, drawn):
        with LiveBoard(console, "cars-night") as board:
            for done in (0, 12_000, 30_000):
                board.update(progress(0, doing=decoding_words(done, 50_000)))
    assert plain.file.getvalue().splitlines() == [
        "exploring: 0 of 20 done, 2 running, 1m 05s elapsed, decoding 0 of 50,000 images (once per machine)"
    ]
    assert "decoding 12,000 of 50,000 images (once per machine)" in drawn.file.getvalue()
    assert "decoding 30,000 of 50,000 images (once per machine)" in drawn.file.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 50), (60, 10)])
def test_in_a_terminal_the_picture_fits(decided, width, height):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with LiveBoard(console, "cars-night") as board:
        board.update(progress(7, decided * 1, left=100.0, best=("a", 0.72)))
        board.update(progress(8, decided * 1, left=90.0, best=("a", 0.72)))
        drawn = console.file.getvalue()  # at the end it makes room for the board
    picture = drawn.rpartition("\x1b[2K")[2]
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in picture.splitlines()]
    assert len(lines) <= height and max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "8 of 20" in text and "best so far 72.0%" in text and "about 1m 30s left" in text and "confirmed" in text
    assert "…" not in text
