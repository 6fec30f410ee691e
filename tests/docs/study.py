"""The tables of docs/does-it-pay.md, from the comparisons that lie beside it as `compare --format json` wrote them.

`python -m tests.docs.study --write` brings the page up to date; the test beside this holds it.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from bissl_ray.controls import CONTROLS
from bissl_ray.leaderboard.columns import Column
from bissl_ray.leaderboard.numbers import count, duration, percent, probability
from bissl_ray.leaderboard.render import markdown_table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "does-it-pay.md"
RESULTS = ROOT / "docs" / "study"
_BLOCK = re.compile(r"(<!-- study: (\w+) -->\n).*?(<!-- /study -->)", re.S)


def names() -> list[str]:
    """The comparisons that there are results of."""
    return sorted(path.stem for path in RESULTS.glob("*.json"))


def filled(page: str) -> str:
    """The page with every table as the results have it."""
    return _BLOCK.sub(lambda match: f"{match[1]}\n{table(match[2])}\n{match[3]}", page)


def table(name: str) -> str:
    """One comparison: a line for each control of each case, what all draws say together, which stored rows it is of."""
    found = json.loads((RESULTS / f"{name}.json").read_text())
    lines = markdown_table([row for row in found["rows"] if row["finished"] and row["gain"] is not None], _COLUMNS)
    overall = [re.sub(r"(?<=[ (])-(?=\d)", "−", line) for line in found["findings"] if line.startswith("Over ")]
    rows = f"Of {found['stored_rows']} stored rows, fingerprint `{found['stored_rows_sha256'][:12]}`.\n"
    return "\n\n".join([lines, *overall, rows])


def gain(row: dict[str, Any]) -> str:
    """The gain over the control in points, with its interval; bold where the interval leaves 0 out."""
    low, high = row["gain_low"], row["gain_high"]
    mean, least, most = (f"{round(100 * value, 1) + 0:+.1f}".replace("-", "−") for value in (row["gain"], low, high))
    words = f"{mean} ({least} to {most})"
    return f"**{words}**" if low > 0 or high < 0 else words


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
