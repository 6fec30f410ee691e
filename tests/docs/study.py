"""The tables of docs/does-it-pay.md, from what lies beside it: points, and what `compare --format json` wrote.

`python -m tests.docs.study --write` brings the page up to date; the test beside this holds it.
"""

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

from bissl_ray.config.columns import settings_of_row
from bissl_ray.config.scalars import read_plain
from bissl_ray.config.settings import Settings
from bissl_ray.controls import CONTROLS
from bissl_ray.leaderboard.columns import Column
from bissl_ray.leaderboard.numbers import count, duration, percent, probability
from bissl_ray.leaderboard.render import markdown_table
from bissl_ray.search.cost import alignment_gradients

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "does-it-pay.md"
RESULTS = ROOT / "docs" / "study"
_POINTS = re.compile(r"(<!-- points -->\n).*?(<!-- /points -->)", re.S)
_SOLVERS = re.compile(r"(<!-- solvers -->\n).*?(<!-- /solvers -->)", re.S)
_FOLLOWING = re.compile(r"(<!-- following: (\w+) -->\n).*?(<!-- /following -->)", re.S)
_BLOCK = re.compile(r"(<!-- study: (\w+) -->\n).*?(<!-- /study -->)", re.S)


def names() -> list[str]:
    """The comparisons that there are results of."""
    return sorted(path.stem for path in RESULTS.glob("*.json"))


def filled(page: str) -> str:
    """The page with every table as the results have it."""
    page = _BLOCK.sub(lambda match: f"{match[1]}\n{table(match[2])}\n{match[3]}", page)
    page = _SOLVERS.sub(lambda match: f"{match[1]}\n{solvers()}\n\n{match[2]}", page)
    page = _FOLLOWING.sub(lambda match: f"{match[1]}\n{following(match[2])}\n\n{match[3]}", page)
    return _POINTS.sub(lambda match: f"{match[1]}\n{correlations()}\n\n{match[2]}", page)


def table(name: str) -> str:
    """One comparison: a line for each control of each case, what all draws say together, which stored rows it is of."""
    found = json.loads((RESULTS / f"{name}.json").read_text())
    lines = markdown_table([row for row in found["rows"] if row["finished"] and row["gain"] is not None], _COLUMNS)
    overall = [re.sub(r"(?<=[ (])-(?=\d)", "−", line) for line in found["findings"] if line.startswith("Over ")]
    rows = f"Of {found['stored_rows']} stored rows, fingerprint `{found['stored_rows_sha256'][:12]}`.\n"
    return "\n\n".join([lines, *overall, rows])


def correlations() -> str:
    """How far three figures of 20 alternations order points as fine-tuning does afterwards: Spearman's ρ."""
    from scipy.stats import spearmanr

    with (RESULTS / "points.csv").open() as file:
        points = [row for row in csv.DictReader(file) if row["alternations"] == "20"]
    after = [name for name in points[0] if name.startswith("finetuned_")]
    judged = {"upper": "upper model", "lower_knn": "neighbours of θ", "lower_probe": "linear probe of θ"}
    rows = []
    for figure, title in judged.items():
        given = [float(row[figure]) for row in points]
        rhos = [float(spearmanr(given, [float(row[name]) for row in points]).statistic) for name in after]
        rows.append({"title": title, "low": min(given), "high": max(given), "rhos": rhos})
    columns = [
        Column("judged by", 1, lambda row: row["title"], number=False),
        Column("from, to", 1, lambda row: f"{percent(row['low'])} to {percent(row['high'])}"),
        *(
            Column(f"ρ with fine-tuned at {name.partition('_')[2]}", 1, lambda row, i=i: _signed(row["rhos"][i]))
            for i, name in enumerate(after)
        ),
    ]
    return f"{markdown_table(rows, columns)}\n\nOf {len(points)} points, one seed each.\n".rstrip()


def solvers() -> str:
    """One point by several solvers, from `leaderboard --format csv`: what each costs and gains over fine-tuning."""
    with (RESULTS / "solvers.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "bissl"]
    sizes = {"train": 10 * int(rows[0]["labels_per_class"]), "pretext": 8000}
    for row in rows:
        settings = Settings.model_validate(settings_of_row(_typed(row)))
        solved = 0 if settings.solver in ("identity", "sama") else int(row["hvps"])
        row["per_alternation"] = alignment_gradients(settings, sizes, 1, solved) / settings.alternations
        row |= {name: float(row[name]) for name in ("gain", "gain_low", "gain_high", "seconds")}
    columns = [
        Column("solver", 1, lambda row: f"`{row['param_solver']}`", number=False),
        Column("iterations", 1, lambda row: "" if row["hvps"] == "0" else row["param_cg_iterations"]),
        Column("products", 1, lambda row: row["hvps"]),
        Column("gradients per alternation", 1, lambda row: count(round(row["per_alternation"]))),
        Column("alignment", 1, lambda row: duration(row["seconds"])),
        Column("gain, points (95 %)", 1, gain),
        Column("seeds", 1, lambda row: row["gain_seeds"]),
        Column("gain per minute of a processor", 1, lambda row: _signed(100 * row["gain"] / (row["seconds"] / 60))),
    ]
    return markdown_table(rows, columns)


def following(name: str) -> str:
    """The gain by the fine-tuning that follows, from a probe of the frozen backbone on, a line for each case."""
    cases = [row for row in json.loads((RESULTS / f"{name}.json").read_text())["rows"] if row["gain_by_finetuning"]]
    rates = sorted({one["point"]["finetune_lr"] for case in cases for one in case["gain_by_finetuning"]})

    def at(rate: float) -> Column:
        def cell(case: dict[str, Any]) -> str:
            return next((gain(one) for one in case["gain_by_finetuning"] if one["point"]["finetune_lr"] == rate), "")

        return Column(f"{rate:.2g}", 1, cell)

    frozen = {"gain_frozen": "gain", "gain_frozen_low": "gain_low", "gain_frozen_high": "gain_high"}
    columns = [
        Column("labels per class", 1, _labels),
        Column("from", 1, lambda case: case["checkpoint"].split("-")[0], number=False),
        Column("none (probe)", 1, lambda case: gain({new: case[old] for old, new in frozen.items()})),
        *map(at, rates),
    ]
    return markdown_table(cases, columns)


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """Settings of a row of CSV as values."""
    settings = {name: value for name, value in row.items() if name.startswith("param_")}
    given = {name: None if value == "" else read_plain(value) for name, value in settings.items()}
    return {name: {"True": True, "False": False}.get(str(value), value) for name, value in given.items()}


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def gain(row: dict[str, Any]) -> str:
    """The gain over the control in points, with its interval; bold where the interval leaves 0 out.

    Two pairs that happen to differ by as many images have an interval of no width, which says nothing.
    """
    low, high = row["gain_low"], row["gain_high"]
    mean, least, most = (f"{round(100 * value, 1) + 0:+.1f}".replace("-", "−") for value in (row["gain"], low, high))
    words = f"{mean} ({least} to {most})"
    return f"**{words}**" if (low > 0 or high < 0) and low < high else words


def _labels(row: dict[str, Any]) -> str:
    draw = row.get("label_draw")  # exported before there were draws: the split's own
    return f"{row['labels_per_class']}{'' if draw is None else f', draw {draw}'}"


def _ratio(row: dict[str, Any]) -> str:
    return f"{row['bissl_gradients'] / row['control_gradients']:.2g}x"


_COLUMNS = [
    Column("labels per class", 1, lambda row: _labels(row)),
    Column("from", 1, lambda row: row["checkpoint"].split("-")[0], number=False),
    Column("against", 1, lambda row: CONTROLS[row["against"]].title, number=False),
    Column("BiSSL", 1, lambda row: percent(row["bissl"])),
    Column("control", 1, lambda row: percent(row["control"])),
    Column("gain, points (95 %)", 1, gain),
    Column("seeds", 1, lambda row: str(row["seeds"])),
    Column("p", 1, lambda row: probability(row["p_t"])),
    Column("gradients of BiSSL", 1, lambda row: count(row["bissl_gradients"])),
    Column("of the control's", 1, _ratio),
    Column("a run's time", 1, lambda row: duration(row["bissl_seconds"])),
    Column("the control's", 1, lambda row: duration(row["control_seconds"])),
]

if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.docs.study --write")
    PAGE.write_text(filled(PAGE.read_text()))
