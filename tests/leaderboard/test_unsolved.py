"""Trials whose solves were in vain are marked, and the mark is explained."""

import io

from rich.console import Console

from bissl_ray.leaderboard import as_markdown, rank, table


def test_a_mean_residual_of_one_or_more_is_marked(explore, stored):
    trials = stored(
        [
            explore("a", 0.5, cg_residual=1.0, implicit_change=0.4),
            explore("b", 0.6, cg_residual=0.99, implicit_change=0.4),
            explore("c", 0.4, "running", cg_residual=7.0, implicit_change=0.4),
            explore("d", 0.3, "pruned", cg_residual=2.0, implicit_change=0.001),
            explore("e", 0.2, cg_residual=None, implicit_change=None),
        ]
    )
    rows = rank(trials)
    assert {row["trial"] for row in rows if row["unsolved"]} == {"a", "d"}
    console = Console(file=io.StringIO(), width=100)
    console.print(table(rows, [], console))
    drawn = console.file.getvalue()
    assert "a ≢" in drawn and "d ≡ ≢" in drawn and "b ≢" not in drawn and "c ≢" not in drawn
    assert "≢ unsolved: the mean relative residual" in drawn
    assert "≢ unsolved" in as_markdown(rows, [])
