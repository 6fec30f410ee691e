"""The top of the page: what it is of, and the verdicts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bissl_ray.leaderboard.verdict_sentences import Outcome
from bissl_ray.report.elements import bullets, paragraph, text
from bissl_ray.report.facts import Subject, SweepFacts
from bissl_ray.report.telling import verdict_card, verdict_of

_FEW: Final = 2


def opening(subjects: Sequence[Subject], sweeps: Sequence[SweepFacts], damage: Sequence[str]) -> str:
    """Names, when it was written, what could not be read, and the verdicts, of many a sentence on all before them."""
    sentences = [each for subject in subjects for each in _verdicts(subject, len(subjects) > 1)]
    several = len(sentences) > _FEW
    count = summary([outcome for outcome, _ in sentences]) if several else ""
    names = " · ".join(subject.name for subject in subjects)
    when = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    warned = f'<div class="warning">{bullets(damage)}</div>' if damage else ""
    waiting = [f"not begun yet: {', '.join(each.waiting)}" for each in subjects if each.waiting]
    compared = len(subjects) == 1 and subjects[0].board is not None
    what = "comparison" if compared else "sweep" if len(sweeps) == 1 else "sweeps"
    data = ", ".join(dict.fromkeys(facts.dataset for facts in sweeps))
    return (
        f'<header class="top"><h1>{text(names)}</h1>'
        f'<p class="soft">BiSSL against plain fine-tuning · {what} on {text(data)} · {text(when)}</p>'
        f"{warned}{paragraph(count, 'lead')}{verdict_card(sentences, several)}{bullets(waiting, 'notes')}</header>"
    )


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


def _verdicts(subject: Subject, several: bool) -> list[tuple[Outcome, str]]:
    """Outcomes of a subject in words; where there are several subjects, with its name."""
    if subject.board is None:
        told = [verdict_of(facts) for facts in subject.sweeps]
    else:
        told = [(case.outcome, case.sentence) for case in subject.board.cases]
    return [(outcome, f"{subject.name}: {sentence}" if several else sentence) for outcome, sentence in told]
