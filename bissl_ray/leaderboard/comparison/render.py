"""A comparison as a table for people, as JSON and CSV for programs, as Markdown for reports."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.text import Text

from bissl_ray.controls import PLAIN
from bissl_ray.leaderboard.columns import Column
from bissl_ray.leaderboard.comparison.cases import CaseResult, ComparisonBoard, Side
from bissl_ray.leaderboard.comparison.findings import findings, notes
from bissl_ray.leaderboard.numbers import count, duration, probability, with_half
from bissl_ray.leaderboard.render import VERDICT_STYLES, Line, as_csv, dumped, fitting_table, markdown_table
from bissl_ray.statistics import with_ends
from bissl_ray.store.schema import Row


def comparison_table(board: ComparisonBoard, console: Console) -> RenderableType:
    """Lay out a comparison for a console: a table per dataset, what was found, what to know about it."""
    parts: list[RenderableType] = []
    for _, group in groupby(board.cases, key=lambda case: case.facts.dataset):
        cases = list(group)
        parts.append(fitting_table(case_title(board, cases), _lines(cases), case_columns(cases), console))
    parts += [Text(case.sentence, style=_style(case)) for case in board.cases]
    parts += [Text(sentence, style="bold") for sentence in findings(board)]
    parts += [Text(line, style="dim") for line in notes(board)]
    return Group(*parts)


def comparison_markdown(board: ComparisonBoard) -> str:
    """Write the same as Markdown, every column."""
    parts = []
    for _, group in groupby(board.cases, key=lambda case: case.facts.dataset):
        cases = list(group)
        parts.append(f"### {case_title(board, cases)}\n\n{markdown_table(case_rows(cases), case_columns(cases))}")
    return "\n\n".join([*parts, *(case.sentence for case in board.cases), *findings(board), *notes(board)])


def comparison_json(board: ComparisonBoard) -> str:
    """Write every figure as JSON, unrounded: a row per case, all datasets, all draws, the changes over checkpoints."""
    document = {
        "comparison": board.name,
        "stored_rows": board.rows,
        "stored_rows_sha256": board.rows_sha256,
        "rows": [
            {
                **_flat(case),
                "gain_by_seed": dict(case.gains),
                **with_ends("gain_frozen", case.frozen),
                "gain_by_finetuning": [
                    {"point": one.point, **with_ends("gain", one.gain), "runs": one.gain.n} for one in case.following
                ],
            }
            for case in board.cases
        ],
        "overall": [asdict(overall) for overall in board.overall],
        "draws": [asdict(draws) for draws in board.draws],
        "trends": [asdict(trend) for trend in board.trends],
        "findings": findings(board),
        "notes": notes(board),
    }
    return dumped(document)


def comparison_csv(board: ComparisonBoard) -> str:
    """Write a row per case as CSV."""
    return as_csv([_flat(case) for case in board.cases])


def _style(case: CaseResult) -> str:
    return "bold red" if case.without_result else VERDICT_STYLES[case.outcome]


def _flat(case: CaseResult) -> Row:
    facts = case.facts
    return {
        "dataset": facts.dataset,
        "checkpoint": facts.checkpoint,
        "labels_per_class": facts.labels,
        "label_draw": facts.draw,
        "sweep": facts.sweep,
        "finished": facts.finished,
        "metric": facts.metric,
        "split": case.split,
        "outcome": case.outcome,
        **with_ends("bissl", case.bissl.score),
        "against": facts.control,
        "control_sweep": facts.of_control or facts.sweep,
        **with_ends("control", case.control.score),
        **with_ends("gain", case.gain),
        "seeds": case.tests.n,
        "seeds_better": case.tests.positive,
        "seeds_worse": case.tests.negative,
        "p_t": case.tests.t,
        "p_wilcoxon": case.tests.wilcoxon,
        "p_sign": case.tests.sign,
        **_cost("bissl", case.bissl),
        **_cost("control", case.control),
        "sentence": case.sentence,
    }


def _cost(name: str, side: Side) -> Row:
    keys = ("trial", "failed", "seconds", "total_seconds", "runs", "labelled", "unlabelled", "gradients")
    return {f"{name}_{key}": getattr(side, key) for key in keys}


def case_rows(cases: Sequence[CaseResult]) -> list[Row]:
    """A row for BiSSL per checkpoint, and one for each control below it, where the gain over that control stands."""
    rows: list[Row] = []
    for case in cases:
        if case.facts.control == PLAIN:
            rows.append({"pipeline": "BiSSL", "side": case.bissl, "case": case, "first": True})
        rows.append({"pipeline": case.against, "side": case.control, "case": case, "first": False})
    return rows


def _lines(cases: Sequence[CaseResult]) -> list[Line]:
    styles = {"wins": "green", "loses": "red"}
    rows = case_rows(cases)
    last = [number + 1 == len(rows) or rows[number + 1]["first"] for number in range(len(rows))]
    return [
        Line(row, None if row["first"] else styles.get(row["case"].outcome), ends)
        for row, ends in zip(rows, last, strict=True)
    ]


def case_columns(cases: Sequence[CaseResult]) -> list[Column]:
    """Choose the columns that have something to say about these cases."""
    metric = cases[0].metric

    def score(side: Side) -> str:
        return with_half(side.score, partial(metric.score, unit=""), metric)

    def of_case(text: Callable[[CaseResult], str]) -> Callable[[Row], str]:
        return lambda row: text(row["case"]) if row["first"] else ""

    def of_pair(text: Callable[[CaseResult], str]) -> Callable[[Row], str]:
        return lambda row: "" if row["first"] else text(row["case"])

    def of_side(text: Callable[[Side], str]) -> Callable[[Row], str]:
        return lambda row: text(row["side"])

    every = [
        Column("from", 99, of_case(lambda case: case.facts.checkpoint), number=False),
        Column("pipeline", 100, lambda row: row["pipeline"], number=False),
        Column(f"{metric.title}{' %' if metric.share else ''}", 98, of_side(score)),
        Column("BiSSL's gain", 97, of_pair(lambda case: with_half(case.gain, metric.gain, metric))),
        Column("p", 84, of_pair(lambda case: probability(case.tests.t))),
        Column("Wilcoxon p", 60, of_pair(lambda case: probability(case.tests.wilcoxon))),
        Column("seeds", 40, of_pair(lambda case: str(case.tests.n or ""))),
        Column("time", 70, of_side(lambda side: duration(side.seconds))),
        Column("in all", 50, of_side(lambda side: duration(side.total_seconds) if side.runs else "")),
        Column("labelled", 65, of_side(lambda side: count(side.labelled))),
        Column("unlabelled", 64, of_side(lambda side: count(side.unlabelled))),
        Column("gradients", 63, of_side(lambda side: count(side.gradients))),
    ]
    rows = case_rows(cases)
    return [column for column in every if column.priority >= 90 or any(column.cell(row) for row in rows)]


def case_title(board: ComparisonBoard, cases: Sequence[CaseResult]) -> str:
    """What the table of a dataset is called: its name, the comparison's, the splits that the scores are of."""
    splits = sorted({case.split for case in cases if case.gain is not None})
    return " · ".join([cases[0].facts.dataset, board.name, *(f"{split} split" for split in splits)])
