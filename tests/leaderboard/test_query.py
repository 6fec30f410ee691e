import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard import rank, sort_rows, where_rows


@pytest.fixture
def rows(decided):
    return rank(decided)


@pytest.mark.parametrize(
    ("expression", "trials"),
    [
        ("param_upper_lr > 0.01 and status = 'complete'", "b"),
        ("param_upper_lr<=0.02", "ab"),
        ("status <> 'complete'", "ecd"),
        ("NOT (status == 'pruned' OR status = 'running') AND kind = 'bissl'", "abd"),
        ("objective is null", "d"),
        ("test_metric IS NOT NULL", ["a", "k1"]),
        ("status in ('failed', 'pruned')", "cd"),
        ("status not in ('complete',)", "ecd"),
        ("param_cg_iterations = 0", "a"),
        ("0.01 < param_upper_lr < 0.1", "be"),
        ("not param_upper_lr > 0.01", "a"),  # k1 has none: neither above nor not above
        ("objective > explore_objective", "ab"),
        ('status_reason = "CUDA out of memory"', "d"),
        ("status_reason = 'a = b and not <> null'", ""),
        ("rank = 1 or -0.5 > objective", "a"),
    ],
)
def test_where(rows, expression, trials):
    assert [row["trial"] for row in where_rows(rows, expression)] == list(trials)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("param_uper_lr > 0.01", "did you mean 'param_upper_lr'"),
        ("status = complete", "names no column.*'complete'"),
        ("param_upper_lr > 'big'", "another type.*'big'"),
        ("status > 3", "another type"),
        ("status = objective", "another type"),
        ("param_upper_lr >", "can't be read; write comparisons"),
        ("status = 'complete' and seeds = = 3 or rank = 1", "can't be read from '= 3 or rank = 1' on"),
        ("rank <> 1 and (seeds is null", r"can't be read from '\(seeds is null' on"),
        ("", "can't be read"),
        ("param_upper_lr + 1 > 2", "doesn't compare"),
        ("status", "doesn't compare"),
        ("__import__('os').getcwd() = 'x'", "doesn't compare"),
        ("updated_at.year > 3", "doesn't compare"),
        ("(lambda: 1)() > 0", "doesn't compare"),
    ],
)
def test_where_refuses_in_one_line(rows, expression, message):
    with pytest.raises(BadInputError, match=message) as caught:
        where_rows(rows, expression)
    assert "\n" not in str(caught.value)


def test_times_compare_with_quoted_times(explore, stored):
    from datetime import UTC, datetime

    rows = rank(
        stored([explore(f"t{month}", 0.5, started_at=datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 3)])
    )
    assert [row["trial"] for row in where_rows(rows, "started_at >= '2026-02-01T00:00:00+00:00'")] == ["t3"]
    with pytest.raises(BadInputError, match="another type"):
        where_rows(rows, "started_at > 'yesterday'")


def test_sort_both_ways_with_missing_values_last(rows):
    assert [row["trial"] for row in sort_rows(rows, "param_upper_lr")] == ["a", "b", "e", "c", "d", "k1"]
    assert [row["trial"] for row in sort_rows(rows, "-param_upper_lr")] == ["d", "c", "e", "b", "a", "k1"]
    with pytest.raises(BadInputError, match=r"--sort.*did you mean 'objective'"):
        sort_rows(rows, "-objectve")
