"""The page: what there is to say of each subject in its order, and the one file that holds it all."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Final

from bissl_ray.leaderboard.verdict_sentences import Outcome
from bissl_ray.report.again import compare_command, report_command, to_run_again
from bissl_ray.report.best import Best
from bissl_ray.report.comparing import comparison_plots, comparison_tables, together
from bissl_ray.report.elements import Plot, bullets, code, paragraph, plots_html, section, text
from bissl_ray.report.exploring import Explored
from bissl_ray.report.facts import Subject, SweepFacts
from bissl_ray.report.telling import (
    at_a_glance,
    board,
    cost,
    data,
    environment,
    health,
    searched,
    verdict_card,
    verdict_of,
)
from bissl_ray.store.documents import git_state, versions

MOST_BYTES: Final = 6_000_000
"""Of a report; where all figures would make it larger, the dispensable ones of long reports are left out, by name."""
GENERATOR: Final = '<meta name="generator" content="bissl-ray report">'
"""By which a file is known for one of ours."""
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""Of the browser: the file reaches for nothing outside it. Plotly compiles its WebGL drawing, which counts as eval."""
_HERE: Final = Path(__file__).parent


@dataclass
class Drawing:
    """The figures of one subject's sweep, or of several together.

    Attributes:
        plots: in the order of the page.
        json: of each that is drawn, by its key.
    """

    plots: list[Plot]
    json: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for plot in self.plots:
            if plot.figure is not None:
                self.json[plot.key] = _as_json(plot)

    def drop(self, key: str, why: str) -> None:
        """Leave a figure out."""
        del self.json[key]
        self.plots = [plot.without(why) if plot.key == key else plot for plot in self.plots]

    def among(self, *names: str) -> list[Plot]:
        """Those whose keys end so, or have such a part."""
        return [plot for plot in self.plots if plot.key.split("-")[-1] in names]


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
    shared = Drawing([*_of_comparisons(subjects), *together(sweeps)])
    own = {facts.name: Drawing(_plots(facts)) for facts in sweeps}
    drawings = [shared, *own.values()]
    _make_fit(drawings)
    figures = {key: figure for drawing in drawings for key, figure in drawing.json.items()}
    parts = [_opening(subjects, sweeps, damage)]
    parts += [_navigation(subjects, sweeps)]
    body = [_compared(subject, shared, storage) for subject in subjects if subject.board is not None]
    history = [plot for plot in shared.plots if plot.key == "all-history"]
    if history:
        body.append(section("together", "Sweeps beside each other", plots_html(history)))
    compared = {facts.name for subject in subjects if subject.board is not None for facts in subject.sweeps}
    one = len(sweeps) == 1
    body += [_sweep(facts, own[facts.name], facts.name in compared, one) for facts in sweeps]
    body.append(
        section(
            "about", "This report", paragraph("To write it again:"), code(report_command(list(subjects), storage, out))
        )
    )
    html = _document(" · ".join(subject.name for subject in subjects), "".join(parts), "".join(body), figures)
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
    return [*Explored(facts).plots, *Best(facts).plots]


def _of_comparisons(subjects: Sequence[Subject]) -> list[Plot]:
    return [plot for subject in subjects if subject.board is not None for plot in comparison_plots(subject.board)]


def _make_fit(drawings: Sequence[Drawing]) -> None:
    """Leave figures out until the page is small enough: the most dispensable first, of them the largest."""
    left = MOST_BYTES - len(_plotly()) - 400_000  # for its tables and words
    total = sum(len(figure) for drawing in drawings for figure in drawing.json.values())
    every = [
        (plot.order, len(drawing.json[plot.key]), plot.key, drawing)
        for drawing in drawings
        for plot in drawing.plots
        if plot.key in drawing.json
    ]
    for _, size, key, drawing in sorted(every, key=lambda each: (-each[0], -each[1])):
        if total <= left:
            return
        limit = f"this file below {MOST_BYTES // 10**6} MB"
        drawing.drop(key, f"it was left out to keep {limit}; a report of fewer sweeps has it.")
        total -= size


def _opening(subjects: Sequence[Subject], sweeps: Sequence[SweepFacts], damage: Sequence[str]) -> str:
    boards = [subject.board for subject in subjects if subject.board is not None]
    sentences = [each for subject in subjects for each in _verdicts(subject, len(subjects) > 1)]
    card = verdict_card(sentences).replace('class="verdict"', f'class="verdict{" several" * (len(sentences) > 2)}"')
    count = summary([outcome for outcome, _ in sentences]) if len(sentences) > 2 else ""
    names = " · ".join(subject.name for subject in subjects)
    when = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    warned = f'<div class="warning">{bullets(damage)}</div>' if damage else ""
    waiting = [f"not begun yet: {', '.join(each.waiting)}" for each in subjects if each.waiting]
    what = "comparison" if boards and len(subjects) == 1 else "sweep" if len(sweeps) == 1 else "sweeps"
    data = ", ".join(dict.fromkeys(facts.dataset for facts in sweeps))
    return (
        f'<header class="top"><h1>{text(names)}</h1>'
        f'<p class="soft">BiSSL against plain fine-tuning · {what} on {text(data)} · {text(when)}</p>'
        f"{warned}{paragraph(count, 'lead')}{card}{bullets(waiting, 'notes')}</header>"
    )


def _verdicts(subject: Subject, several: bool) -> list[tuple[Outcome, str]]:
    """Outcomes of a subject in words; where there are several subjects, with its name."""
    if subject.board is None:
        told = [verdict_of(facts) for facts in subject.sweeps]
    else:
        told = [(case.outcome, case.sentence) for case in subject.board.cases]
    return [(outcome, f"{subject.name}: {sentence}" if several else sentence) for outcome, sentence in told]


def summary(outcomes: Sequence[str]) -> str:
    """Many verdicts in a sentence."""
    words = {
        "wins": "BiSSL wins in {}",
        "wins_with_failures": "is better over the seeds that both finished in {}",
        "no_difference": "no difference beyond seed noise in {}",
        "loses": "BiSSL loses in {}",
        "unconfirmed": "{} not confirmed yet",
    }
    told = [form.format(outcomes.count(name)) for name, form in words.items() if name in outcomes]
    return f"Of {len(outcomes)} verdicts: {', '.join(told)}."


def _navigation(subjects: Sequence[Subject], sweeps: Sequence[SweepFacts]) -> str:
    links = [(f"comparison-{subject.name}", subject.name) for subject in subjects if subject.board is not None]
    if len(sweeps) == 1:
        links += [(f"part-{sweeps[0].name}-{part}", title) for part, title in _PARTS.items()]
    else:
        links += [(f"sweep-{facts.name}", facts.name) for facts in sweeps]
    links.append(("about", "this report"))
    told = "".join(f'<a href="#{escape(to)}">{text(name)}</a>' for to, name in links)
    return f'<nav class="top"><div>{told}</div></nav>'


_PARTS: Final = {
    "board": "board",
    "explored": "explored",
    "best": "the best few",
    "health": "health",
    "cost": "cost",
    "environment": "environment",
    "again": "run it again",
}


def _compared(subject: Subject, shared: Drawing, storage: str) -> str:
    own = [plot for plot in shared.plots if plot.key.startswith(f"{subject.board.name}-")]
    return section(
        f"comparison-{subject.name}",
        f"Comparison {subject.name}",
        comparison_tables(subject.board),
        plots_html(own),
        paragraph("To run it again, or go on with it:"),
        code(compare_command(subject, storage)),
    )


def _sweep(facts: SweepFacts, drawing: Drawing, compared: bool, one: bool) -> str:
    inner = _sweep_parts(facts, drawing, compared)
    if one:
        return inner
    _, sentence = verdict_of(facts)
    opening = f"{text(facts.name)} <span>{text(sentence)}</span>"
    return (
        f'<section id="sweep-{escape(facts.name)}"><details class="sweep"><summary>{opening}</summary>{inner}'
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
    told = ",".join(f"{_in_script(json.dumps(key))}:{figure}" for key, figure in figures.items())
    plotly = f"<script>{_plotly()}</script>" if figures else ""
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


def _as_json(plot: Plot) -> str:
    assert plot.figure is not None
    figure: dict[str, Any] = json.loads(plot.figure.to_json())
    figure["layout"].pop("template", None)
    return _in_script(json.dumps({"data": figure["data"], "layout": figure["layout"]}, separators=(",", ":")))


def _in_script(text_of_json: str) -> str:
    """JSON that nothing in it can end the script element of."""
    return text_of_json.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
