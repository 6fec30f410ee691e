"""How `bissl-ray list`, `status`, `rm`, `clean` and `diff` show what they found."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bissl_ray.catalog.clean import Cleaning
from bissl_ray.catalog.diff import Diff
from bissl_ray.catalog.needed import Needless
from bissl_ray.catalog.pairs import Difference, Pair
from bissl_ray.catalog.remove import Removal
from bissl_ray.catalog.standing import State
from bissl_ray.catalog.status import Overview, when
from bissl_ray.catalog.things import Score, Thing
from bissl_ray.cli.terminal import Terminal
from bissl_ray.leaderboard.numbers import duration, setting, size
from bissl_ray.metrics import Metric, of_objective
from bissl_ray.statistics import Estimate
from bissl_ray.world import world

_STYLES: Final = {
    State.RUNNING: "green",
    State.INTERRUPTED: "yellow",
    State.PAUSED: "yellow",
    State.FAILED: "red",
    State.HALF_REMOVED: "red",
    State.UNREADABLE: "red",
}
_LEAST_IMPORTANT: Final = ("of", "dataset", "age", "size", "kind", "gain", "trials")
_DIGITS: Final = 6


def things_table(things: Sequence[Thing]) -> list[RenderableType]:
    """A row each; what is not known of one is said below."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
    for heading in ("name", "kind", "dataset", "state"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "dataset")
    for heading in ("trials", "score", "gain", "age", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    several = any(thing.of for thing in things)
    if several:
        table.add_column("of", overflow="fold")
    for thing in things:
        asked = "" if thing.asked is None else f"{thing.done}/{thing.asked}"
        age = None if thing.created_at is None else max((world().now() - thing.created_at).total_seconds(), 0)
        table.add_row(
            Text(thing.name),
            thing.kind,
            Text(thing.dataset or ""),
            Text(thing.state, style=_STYLES.get(thing.state, "")),
            asked,
            score_words(thing.score),
            gain_words(thing.score),
            duration(age).partition(" ")[0],
            size(thing.bytes),
            *([", ".join(thing.of)] if several else []),
        )
    console = Terminal()
    parts: list[RenderableType] = [console.narrowed(table, _LEAST_IMPORTANT)]
    parts += [Text(f"{thing.name}: {thing.problem}", style="red") for thing in things if thing.problem]
    return parts


def score_words(score: Score) -> str:
    """A score with what it is worth: "94.8% test", "93.1% explored"."""
    if score.objective is None:
        return ""
    written = of_objective(score.name).score(score.objective)
    return f"{written} {'explored' if score.explored else 'val' if score.split == 'validation' else score.split}"


def gain_words(score: Score) -> str:
    """The gain with half its interval."""
    return _gain(score.gain, of_objective(score.name))


def _gain(gain: Estimate | None, metric: Metric) -> str:
    if gain is None:
        return ""
    half = metric.spread(gain.half_width)
    return f"{metric.gain(gain.mean)}{f' ± {half}' if half else ''}"


def overview(found: Overview) -> RenderableType:
    """One thing in full."""
    thing = found.thing
    on = "" if thing.dataset is None else f" on {thing.dataset}"
    title = Text.assemble(
        (thing.name, "bold"), f"  {thing.kind}{on}", *([f", of {', '.join(thing.of)}"] if thing.of else [])
    )
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, words in _told(found):
        grid.add_row(name, words)
    return Group(title, grid)


def _told(found: Overview) -> Iterator[tuple[str, Text]]:
    thing = found.thing
    state = str(thing.state)
    if found.held is not None:
        since = "" if found.held.since is None else f" since {when(found.held.since)}"
        state += f"{since}: process {found.held.pid} on {found.held.host}"
    yield "state", Text(state, style=_STYLES.get(thing.state, ""))
    if thing.asked is not None:
        ended = ", ".join(f"{number} {how}" for how, number in found.trials.items())
        about = "" if thing.state == State.FINISHED else "about "
        yield "trials", Text(f"{thing.done} of {about}{thing.asked} have ended{f': {ended}' if ended else ''}")
    if found.cut_off:
        under_way = "under way" if found.held is not None else "cut off"
        yield under_way, Text(", ".join(found.cut_off))
    if found.left:
        yield "left", Text(", ".join(found.left))
    if found.seconds_left is not None:
        at_a_time = f"{found.at_a_time} trial{'' if found.at_a_time == 1 else 's'} at a time"
        yield "time left", Text(f"about {duration(found.seconds_left)}, with {at_a_time}")
    elif found.left and thing.asked is not None and found.at_a_time is not None:
        yield "time left", Text("not known yet")
    if thing.score.objective is not None:
        gain = gain_words(thing.score)
        yield "score", Text(f"{score_words(thing.score)}{f', {gain} over the control' if gain else ''}")
    for sentence in found.verdict:
        yield "found", Text(sentence)
    for note in found.notes:
        yield "note", Text(note)
    created = "" if thing.created_at is None else f", asked for {when(thing.created_at)}"
    yield "size", Text(f"{size(thing.bytes)}{created}")


def removal_table(plans: Sequence[Removal]) -> RenderableType:
    """What goes, a row each, with notes below."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
    table.add_column("kind", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for plan in plans:
        table.add_row(plan.ref.kind, Text(plan.ref.name), f"{len(plan.files):,}", size(plan.bytes))
    notes = [Text(f"{plan.ref}: {note}") for plan in plans for note in plan.notes]
    return Group(table, *notes)


def removal_lines(plans: Sequence[Removal]) -> Iterator[str]:
    """What went."""
    for plan in plans:
        yield f"removed {plan.ref}: {_files(len(plan.files))}, {size(plan.bytes)}"
        for note in plan.notes:
            yield f"  {note}"
    if len(plans) > 1:
        total = sum(len(plan.files) for plan in plans)
        yield f"in all {_files(total)}, {size(sum(plan.bytes for plan in plans))}"


def needless_table(plan: Cleaning) -> RenderableType:
    """What nothing needs: a row for each reason, of each thing."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False, show_footer=True)
    going = plan.files
    table.add_column("of", "in all", overflow="fold")
    table.add_column("files", f"{len(going):,}", justify="right", no_wrap=True)
    table.add_column("size", size(sum(each.bytes for each in going)), justify="right", no_wrap=True)
    table.add_column("nothing needs it", "", overflow="fold")
    for ref, files in plan.of.items():
        by_reason: defaultdict[str, list[int]] = defaultdict(list)
        for each in files:
            by_reason[each.why].append(each.bytes)
        for why, sizes in by_reason.items():
            table.add_row(Text("the storage" if ref is None else str(ref)), f"{len(sizes):,}", size(sum(sizes)), why)
    return table


def needless_lines(plan: Cleaning) -> Iterator[str]:
    """Every file that nothing needs, with its size, below the reason."""
    by_reason: defaultdict[str, list[Needless]] = defaultdict(list)
    for each in plan.files:
        by_reason[each.why].append(each)
    for why, files in by_reason.items():
        yield f"{why}: {_files(len(files))}, {size(sum(each.bytes for each in files))}"
        yield from (f"  {size(each.bytes):>8}  {each.path}" for each in files)
    yield f"in all {_files(len(plan.files))}, {size(sum(each.bytes for each in plan.files))}"


def cleaned_line(gone: Sequence[Needless]) -> str:
    """What went."""
    return f"removed {_files(len(gone))}, {size(sum(each.bytes for each in gone))}"


def _files(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}"


def diff_view(found: Diff) -> list[RenderableType]:
    """Two things beside each other."""
    parts: list[RenderableType] = []
    if found.scores:
        parts.append(_scores(found))
        parts += [Text(_seeds(pair), style="dim") for pair in found.scores if pair.seeds]
    parts += [Text(note, style="yellow") for note in found.notes]
    for heading, rows in (("setting", found.settings), ("fact", found.facts)):
        if rows:
            parts.append(_differences(heading, found, rows))
    if not found.settings:
        parts.append(Text(f"No setting differs between {found.a} and {found.b}."))
    return parts


def _scores(found: Diff) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("score", no_wrap=True)
    table.add_column("split", no_wrap=True)
    for name in (found.a, found.b):
        table.add_column(Text(name), justify="right", overflow="fold")
    table.add_column("B - A", justify="right", no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    for pair in found.scores:
        metric = of_objective(pair.objective_name)
        both = [_mean(value, metric) for value in (pair.a, pair.b)]
        shared = len(pair.seeds)
        table.add_row(pair.of, pair.split, *both, _gain(pair.gain, metric), str(shared) if shared else "")
    return table


def _mean(value: Estimate | None, metric: Metric) -> str:
    if value is None:
        return ""
    half = metric.spread(value.half_width)
    return f"{metric.score(value.mean)}{f' ± {half}' if half else ''}"


def _seeds(pair: Pair) -> str:
    metric = of_objective(pair.objective_name)
    each = (f"{seed}: {metric.gain(b - a)}" for seed, (a, b) in pair.seeds.items())
    return f"B - A by seed, {pair.of} on {pair.split}: {', '.join(each)}"


def _differences(heading: str, found: Diff, rows: Sequence[Difference]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(heading, overflow="fold")
    for name in (found.a, found.b):
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(Text(row.name), Text(_value(row.a)), Text(_value(row.b)))
    return table


def _value(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} point{'' if len(value) == 1 else 's'}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return setting(value, _DIGITS) or "none"
