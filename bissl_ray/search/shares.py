"""Who tries which points of the fine-tuning search, so that both sides get as many runs."""

from collections.abc import Sequence


def deal(finalists: Sequence[str], dealt: Sequence[str], places: int, runs: int) -> dict[str, list[int]]:
    """Deal the points 0 .. places x runs - 1 out to the finalists; the control tries every one of them.

    Fewer finalists than places (ASHA may have left few) share all points: BiSSL's side always has as many
    fine-tuning runs as the control. A finalist that joins when a sweep is extended, after all places
    were taken, gets `runs` points of its own beyond those; the control then gets as many more.

    Args:
        finalists: trials that are to be tuned now, best first.
        dealt: trials that have been dealt points before, in that order; they keep their places.
        places: finalists that the protocol asks for.
        runs: fine-tuning runs per place.

    Returns:
        Numbers of points by finalist.
    """
    seated = [*dealt, *(name for name in finalists if name not in dealt)]
    sharing = min(places, len(seated))
    hands = {}
    for seat, name in enumerate(seated):
        if seat < places:
            hands[name] = sorted(
                i for place in range(seat, places, sharing) for i in range(place, places * runs, places)
            )
        else:
            first = seat * runs
            hands[name] = list(range(first, first + runs))
    return {name: hands[name] for name in finalists}
