"""Which finalist tries which points of the fine-tuning search, so that both sides get as many runs."""

from collections.abc import Sequence


def share_points(finalists: Sequence[str], before: Sequence[str], wanted: int, runs: int) -> dict[str, list[int]]:
    """Share the points 0 .. wanted x runs - 1 among the finalists; the control tries every one of them.

    Fewer finalists than are wanted (ASHA may have left few) share all points: BiSSL's side always has as many
    fine-tuning runs as the control. A finalist that joins when a sweep is extended, after all places
    were taken, gets `runs` points of its own beyond those; the control then gets as many more.

    Args:
        finalists: trials that are to be tuned now, best first.
        before: trials that have had points already, in the order in which they got them; they keep their place.
        wanted: finalists that the protocol asks for.
        runs: fine-tuning runs per place.

    Returns:
        Numbers of the points, by finalist.
    """
    placed = [*before, *(name for name in finalists if name not in before)]
    sharing = min(wanted, len(placed))
    points = {}
    for position, name in enumerate(placed):
        if position < wanted:
            taken = range(position, wanted, sharing)
            points[name] = sorted(i for place in taken for i in range(place, wanted * runs, wanted))
        else:
            first = position * runs
            points[name] = list(range(first, first + runs))
    return {name: points[name] for name in finalists}
