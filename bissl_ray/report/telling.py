"""What a report says of one sweep in words and tables: verdict, board, cost, health, environment, data."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from bissl_ray.leaderboard.columns import columns
from bissl_ray.leaderboard.comparison.stored import fingerprint
from bissl_ray.leaderboard.costs import costs
from bissl_ray.leaderboard.costs_table import cost_columns, cost_lines
from bissl_ray.leaderboard.diagnose import suggestions
from bissl_ray.leaderboard.diagnostics import diagnostics
from bissl_ray.leaderboard.marks import describe_change, ended_early, marks_explained
from bissl_ray.leaderboard.numbers import duration, setting
from bissl_ray.leaderboard.verdict_sentences import Outcome
from bissl_ray.report.elements import board_table, bullets, folded, pairs, paragraph, table, text
from bissl_ray.report.facts import SweepFacts
from bissl_ray.store.schema import Row
from bissl_ray.words import ALIGNING, PARAMETER_PREFIX, Kind, Standing, Status

TOP: Final = 12
"""Rows of the board, beside the control."""
_COST: Final = 45
"""The priority of the column of the time."""
_TOLD_OF: Final = 3
"""Trials whose figures are read out."""


def verdict_card(sentences: Iterable[tuple[Outcome, str]], small: bool = False) -> str:
    """Outcomes in words, each in the colour of its outcome; small where there are many."""
    told = "".join(f'<p class="{outcome}">{text(sentence)}</p>' for outcome, sentence in sentences)
    return f'<div class="verdict{" several" * small}">{told}</div>'


def verdict_of(facts: SweepFacts) -> tuple[Outcome, str]:
    """The outcome of a sweep, and the sentence of it."""
    verdict = facts.verdict
    if verdict is None:
        return "unconfirmed", f"Nothing to tell yet of {facts.name}: it has no trial."
    return verdict.outcome, verdict.in_words


def at_a_glance(facts: SweepFacts) -> str:
    """How large the sweep was."""
    explored, total = facts.explored, costs(facts.trials, (), None).total
    states = Counter(str(row["status"]) for row in explored)
    asked = facts.protocol.trials if facts.protocol else len(explored)
    of_all = f" of {asked}" if asked > len(explored) else ""
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    confirmed = sum(row["standing"] == Standing.CONFIRMED and row["kind"] == Kind.BISSL for row in facts.ranked)
    gpu = f"{total.gpu_seconds / 3600:.2f}" if total.gpu_seconds else ""
    return pairs(
        [
            ("dataset", facts.dataset),
            ("metric", facts.metric.title),
            ("explored", f"{len(explored)}{of_all} trials ({told})" if explored else ""),
            ("confirmed", f"{confirmed} configuration{'s' * (confirmed != 1)}"),
            ("runs in all", f"{len(facts.trials):,}"),
            ("time in all", duration(total.seconds)),
            ("GPU hours", gpu),
        ]
    )


def board(facts: SweepFacts) -> str:
    """The first rows, and the control wherever it stands; what is to widen, and what was cut short."""
    others = [row["trial"] for row in facts.ranked if row["kind"] == Kind.BISSL]
    first = set(others[:TOP])
    rows = [row for row in facts.ranked if row["trial"] in first or row["kind"] == Kind.CONTROL]
    more = len(others) - len(first)
    words = "Score and gain: means over seeds, ± half of the 95% interval; on validation, but for the test column."
    rest = f" {more} more: bissl-ray leaderboard --sweep {facts.name} --top {len(others)}." if more > 0 else ""
    notes = [] if facts.verdict is None else facts.verdict.notes
    kinds = [_kind(row) for row in rows]
    every = columns(rows)
    # What a configuration came to and cost before its settings: a narrow screen shows the beginning.
    shown = [c for c in every if c.priority >= _COST] + [c for c in every if c.priority < _COST]
    return board_table(rows, shown, kinds) + paragraph(words + rest, "small") + bullets(notes, "notes")


def cost(facts: SweepFacts) -> str:
    """What each step took."""
    found = costs(facts.trials, facts.curves, facts.protocol)
    lines = cost_lines(found)
    kinds = [line.style or "" for line in lines]
    return board_table([line.row for line in lines], cost_columns(lines), kinds) + paragraph(found.sentence, "small")


def health(facts: SweepFacts) -> str:
    """What stands out in the figures of the best, what the marks mean, and what ended early."""
    best = [row for row in facts.ranked if row["kind"] == Kind.BISSL and row["rank"] is not None][:_TOLD_OF]
    heads = {row["trial"]: row for row in facts.trials}
    parts, reports = [], facts.reports_of([row["trial"] for row in best])
    for row in best:
        own = [report for report in reports if report["trial"] == row["trial"]]
        runs = [each for each in facts.trials if each["parent"] == row["trial"]]
        said = suggestions(heads[row["trial"]], own, runs)
        opening = f"{row['trial']}: " + ("" if said else "nothing stands out in its figures.")
        # What acts as identity is told among the sentences.
        change = "" if row["acts_as_identity"] else describe_change({**heads[row["trial"]], **_changed(row)})
        parts.append(paragraph(f"{opening}{f'solving {change}.' if change and said else ''}", "lead") + bullets(said))
    parts.append(bullets([*marks_explained(facts.ranked), *ended_early(facts.trials), *_lost(facts.trials)], "notes"))
    if best:
        title = f"Diagnostics of {best[0]['trial']}, first alternation to last"
        parts.append(folded(title, _figures(best[0], reports)))
    return "".join(parts) or paragraph("No trial of BiSSL has a score.")


def environment(facts: SweepFacts) -> str:
    """What the runs ran on: a line for each commit, device and number of workers that there was."""
    kinds = Counter(tuple(row[name] for name in ("git", "device", "workers", "threads")) for row in facts.trials)
    lines = [
        [count, git or "no checkout", device or "not stored", setting(workers), setting(threads)]
        for (git, device, workers, threads), count in kinds.most_common()
    ]
    versions = Counter(row["versions"] for row in facts.trials)
    told = [f"{_versions(each)}{f' ({count} runs)' * (len(versions) > 1)}" for each, count in versions.most_common()]
    headers = ["runs", "code", "device of the first worker", "workers", "threads each"]
    return table(headers, lines, ["n", "", "", "n", "n"]) + bullets(told, "notes")


def data(facts: SweepFacts) -> str:
    """Which images there were, how they were split, and the fingerprints that tell whether they are still the same."""
    document = facts.document
    if document is None:
        return paragraph(f"Not known: {facts.problem}.")
    request, counts = document.request, document.data
    used = [(name.replace("_", " "), setting(value)) for name, value in vars(request.data).items() if name != "dataset"]
    own = request.pretrained
    told = pairs(
        [
            ("dataset", request.dataset),
            *((f"{part} images", f"{count:,}") for part, count in counts.items() if part != "classes"),
            ("classes", setting(counts.get("classes"))),
            ("validation split", document.validation_from),
            *used,
        ]
    )
    prints = [
        ("starts from", "a backbone pretrained here" if own is None else own.file),
        ("fingerprint of the data and their split", document.fingerprint),
        ("fingerprint of the labelled images", document.labelled_fingerprint),
        ("fingerprint of the stored rows", fingerprint(facts.trials)),
    ]
    return told + pairs(prints, "long") + bullets(document.read, "notes")


def searched(facts: SweepFacts) -> str:
    """What was searched, with what the winner has of it."""
    if facts.document is None:
        return ""
    space, verdict = facts.document.request.space, facts.verdict
    winner = next((row for row in facts.ranked if verdict is not None and row["trial"] == verdict.winner), None)
    best = winner or next((row for row in facts.ranked if row["rank"] == 1), None)
    lines = [
        [name, parameter.span, "log" if getattr(parameter, "log", False) else "", _of(best, name)]
        for section in (space.parameters if facts.explored else {}, space.finetune_parameters)
        for name, parameter in section.items()
    ]
    title = "the best" if best is None else best["trial"]
    return table(["setting", "searched", "scale", title], lines, ["", "", "", "n"]) if lines else ""


def _of(row: Row | None, name: str) -> str:
    return "" if row is None else setting(row.get(PARAMETER_PREFIX + name), 4)


def _changed(row: Row) -> Row:
    """The largest change over all runs of a row of the board, where a trial's own stands else."""
    return {"implicit_change": row["implicit_change"]}


def _kind(row: Row) -> str:
    if row["kind"] == Kind.CONTROL:
        return "control"
    if row["rank"] == 1 and row["standing"] == Standing.CONFIRMED:
        return "winner"
    return "" if row["standing"] == Standing.CONFIRMED else str(row["status"])


def _lost(trials: Sequence[Row]) -> list[str]:
    """How many runs began more than once."""
    again = [row for row in trials if (row["attempts"] or 1) > 1]
    return [f"{len(again)} of {len(trials)} runs lost their workers and went on."] if again else []


def _figures(row: Row, reports: Sequence[Row]) -> str:
    own = [each for each in reports if each["trial"] == row["trial"] and each["stage"] in ALIGNING]
    own.sort(key=lambda each: each["alternation"] or 0)
    return pairs(diagnostics(own)) if own and row["status"] != Status.FAILED else ""


def _versions(written: str | None) -> str:
    found = json.loads(written) if written else {}
    return ", ".join(f"{name} {number}" for name, number in found.items())
