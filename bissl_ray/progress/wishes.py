"""What a person who watches a sweep asks of it by a key: from the view to whoever hands out trials."""

from collections.abc import Callable


class Wishes:
    """Set by a view, read by the sweep several times a second; each is of this session alone.

    Attributes:
        hold: no trial is handed out until this is taken back; those that run go on to their end.
        stop: no further trial is handed out; the sweep ends when those that run have ended.
        interrupted: whether the sweep has been told to stop at once, by a signal.
    """

    def __init__(self) -> None:
        self.hold = False
        self.stop = False
        self.interrupted: Callable[[], bool] = lambda: False


def wishes_of(view: object) -> Wishes:
    """What is asked for through a view; of one that has no keys, nothing ever is."""
    wishes = getattr(view, "wishes", None)
    return wishes if isinstance(wishes, Wishes) else Wishes()
