"""The page: what there is to say of each subject in its order, and the one file that holds it all."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Final

from bissl_ray.report.again import compare_command, report_command, to_run_again
from bissl_ray.report.best import Best
from bissl_ray.report.comparing import comparison_plots, comparison_tables, together
from bissl_ray.report.drawing import Drawing, in_script, make_fit, plotly_script
from bissl_ray.report.elements import Plot, code, paragraph, plots_html, section, text
from bissl_ray.report.exploring import Explored
from bissl_ray.report.facts import Subject, SweepFacts
from bissl_ray.report.opening import opening
from bissl_ray.report.settings import Settings
from bissl_ray.report.telling import (
    at_a_glance,
    board,
    cost,
    data,
    environment,
    health,
    searched,
    verdict_of,
)
from bissl_ray.store.documents import git_state, versions

GENERATOR: Final = '<meta name="generator" content="bissl-ray report">'
"""By which a file is known for one of ours."""
_POLICY: Final = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""Of the browser: the file reaches for nothing outside it, and makes no code of texts."""
_HERE: Final = Path(__file__).parent
_PARTS: Final = {
    "board": "board",
    "explored": "explored",
    "best": "the best few",
    "health": "health",
    "cost": "cost",
    "environment": "environment",
    "again": "run it again",
}
"""Of a sweep, as links at the top name them."""


@dataclass(frozen=True)
class Report:
    """What is written.

    Attributes:
        html: the page.
        plots: those that are drawn on it.
    """

    html: str
    plots: Sequence[Plot]


def make_report(subjects: Sequence[Subject], storage: str, out: str, damage: Sequence[str] = ()) -> Report:
    """Make a page of sweeps and comparisons.

    Args:
        subjects: what it is of.
        storage: as a person named it.
        out: the file, as a person named it.
        damage: lines on what of the storage could not be read.
    """
    sweeps = list({facts.name: facts for subject in subjects for facts in subject.sweeps}.values())
    comparisons = [subject for subject in subjects if subject.board is not None]
    shared = Drawing(together(sweeps))
    found = {subject.name: Drawing(comparison_plots(subject.board)) for subject in comparisons}
    own = {facts.name: Drawing(_plots(facts)) for facts in sweeps}
    drawings = [*found.values(), shared, *own.values()]
    make_fit(drawings, len(sweeps))
    body = [_compared(subject, found[subject.name], storage) for subject in comparisons]
    body.append(section("together", "Sweeps beside each other", plots_html(shared.plots)) if shared.plots else "")
    compared = {facts.name for subject in comparisons for facts in subject.sweeps}
    body += [_sweep(facts, own[facts.name], facts.name in compared, len(sweeps) == 1) for facts in sweeps]
    again = code(report_command(list(subjects), storage, out))
    body.append(section("about", "This report", paragraph("To write it again:"), again))
    title = " · ".join(subject.name for subject in subjects)
    top = opening(subjects, sweeps, damage) + _navigation(comparisons, sweeps)
    figures = {key: figure for drawing in drawings for key, figure in drawing.json.items()}
    html = _document(title, top, "".join(body), figures)
    return Report(html, [plot for drawing in drawings for plot in drawing.plots if plot.figure is not None])


def _plots(facts: SweepFacts) -> list[Plot]:
    if not facts.trials:
        return []
    if facts.study is None:
        why = f"what was searched is not known: {facts.problem}."
        return [Plot(f"{facts.name}-history", "Figures of what was explored", None, why), *Best(facts).plots]
    if not facts.explored:
        why = "this sweep has explored nothing: it runs what BiSSL is compared with."
        return [Plot(f"{facts.name}-history", "Figures of what was explored", None, why), *Best(facts).plots]
    over_time, settings = Explored(facts), Settings(facts)
    return [
        *(over_time.history(), over_time.curves(), settings.parallel(), settings.importance()),
        *(over_time.against_seconds(), over_time.rungs(), *settings.slices(), *settings.contours()),
        *Best(facts).plots,
    ]


def _navigation(comparisons: Sequence[Subject], sweeps: Sequence[SweepFacts]) -> str:
    links = [(f"comparison-{subject.name}", subject.name) for subject in comparisons]
    if len(sweeps) == 1:
        links += [(f"part-{sweeps[0].name}-{part}", title) for part, title in _PARTS.items()]
    else:
        links += [(f"sweep-{facts.name}", facts.name) for facts in sweeps]
    links.append(("about", "this report"))
    told = "".join(f'<a href="#{escape(to)}">{text(name)}</a>' for to, name in links)
    return f'<nav class="top"><div>{told}</div></nav>'


def _compared(subject: Subject, drawing: Drawing, storage: str) -> str:
    return section(
        f"comparison-{subject.name}",
        f"Comparison {subject.name}",
        comparison_tables(subject.board),
        plots_html(drawing.plots),
        paragraph("To run it again, or go on with it:"),
        code(compare_command(subject, storage)),
    )


def _sweep(facts: SweepFacts, drawing: Drawing, compared: bool, one: bool) -> str:
    inner = _sweep_parts(facts, drawing, compared)
    if one:
        return inner
    _, sentence = verdict_of(facts)
    title = f"{text(facts.name)} <span>{text(sentence)}</span>"
    return (
        f'<section id="sweep-{escape(facts.name)}"><details class="sweep"><summary>{title}</summary>{inner}'
        "</details></section>"
    )


def _sweep_parts(facts: SweepFacts, drawing: Drawing, compared: bool) -> str:
    name = facts.name
    if not facts.trials:
        return section(f"part-{name}-board", "Board", paragraph("No trial has a row yet.")) + section(
            f"part-{name}-again", "Run it again", to_run_again(facts, compared)
        )
    finer = [plot for plot in drawing.plots if plot.width == "third" or plot.key.endswith(("-slices", "-contours"))]
    best = drawing.among("confirmed", "alternations", "finetuning", "alignment")
    rest = [plot for plot in drawing.plots if plot not in finer and plot not in best]
    return "".join(
        [
            section(f"part-{name}-board", "Board", at_a_glance(facts), board(facts)),
            section(f"part-{name}-explored", "What was explored", searched(facts), plots_html(rest)),
            section(f"part-{name}-slices-all", "Score by the settings", *_captioned(finer), level=3) if finer else "",
            section(f"part-{name}-best", "The best few and the control", plots_html(best)),
            section(f"part-{name}-health", "Health", health(facts)),
            section(f"part-{name}-cost", "Cost", cost(facts)),
            section(f"part-{name}-environment", "Environment and data", environment(facts), data(facts)),
            section(f"part-{name}-again", "Run it again", to_run_again(facts, compared)),
        ]
    )


def _captioned(plots: Sequence[Plot]) -> list[str]:
    """Small figures, those of a kind with what there is to say of them above."""
    parts = []
    for kind in ("slice", "contour"):
        own = [plot for plot in plots if f"-{kind}" in plot.key]
        words = " ".join(plot.words for plot in own if plot.figure is not None)
        told = [plot if plot.figure is None else replace(plot, words="") for plot in own]
        parts.append(paragraph(words, "small") + plots_html(told))
    return parts


def _document(title: str, top: str, body: str, figures: dict[str, str]) -> str:
    told = ",".join(f"{in_script(json.dumps(key))}:{figure}" for key, figure in figures.items())
    plotly = f"<script>{plotly_script()}</script>" if figures else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{GENERATOR}\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)} · bissl-ray</title>\n<style>{_asset('page.css')}</style></head>\n<body>{top}\n<main>"
        "<noscript><p>The figures are drawn by a script of this file, which this browser doesn't run; all tables and "
        f"words are here.</p></noscript>{body}</main>\n<footer><p>{text(_of_ours())}</p></footer>\n"
        f'<script type="application/json" id="figures">{{{told}}}</script>\n{plotly}\n'
        f"<script>{_asset('page.js')}</script>\n</body></html>\n"
    )


def _of_ours() -> str:
    """What wrote the report."""
    number, commit = json.loads(versions()).get("bissl-ray"), git_state()
    return " ".join(filter(None, ("written by bissl-ray", number, None if commit is None else f"({commit})")))


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
