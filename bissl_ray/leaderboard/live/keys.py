"""What each key does, of the view of a sweep that runs here and of one that is watched from elsewhere."""

from collections.abc import Callable

from bissl_ray.leaderboard.live.scene import ORDERS, Order
from bissl_ray.progress import Wishes


class Keys:
    """Takes keys, and keeps what they have asked for.

    Attributes:
        order: of the board's rows.
        helps: whether the keys are explained.
    """

    def __init__(self, wishes: Wishes, leave: Callable[[], None] | None = None) -> None:
        """Set up.

        Args:
            wishes: told what is asked of the sweep.
            leave: ends the view; None: the view is the sweep's own, which holds and stops that.
        """
        self._wishes, self._leave = wishes, leave
        self.order: Order = ORDERS[0]
        self.helps = False

    def pressed(self, key: str) -> bool:
        """Take a key; whether it means anything."""
        match key:
            case "o":
                self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
            case "?":
                self.helps = not self.helps
            case "q" if self._leave is not None:
                self._leave()
            case "p" if self._leave is None and not self._wishes.stop:
                self._wishes.hold = not self._wishes.hold
            case "s" if self._leave is None:
                self._wishes.stop = True
            case _:
                return False
        return True

    @property
    def line(self) -> str:
        """The keys, for the bottom of the picture."""
        if self._leave is not None:
            return f" q leave   o sort: {self.order}   ? keys "
        hold = "go on" if self._wishes.hold else "pause"
        of_sweep = "stopping" if self._wishes.stop else f"p {hold}   s stop after those that run"
        return f" {of_sweep}   o sort: {self.order}   ? keys   ^C stop now "

    @property
    def help(self) -> list[str]:
        """A line on each key."""
        of_sweep = [
            "p   pause: no new trial begins, those that run go on to their end; or go on",
            "s   stop: no new trial begins; it ends when those that run have ended",
            "^C  stop now: those that run end, and go on from where they have saved",
        ]
        of_watch = ["q   leave, as Ctrl-C does; the sweep goes on"]
        return [
            *(of_sweep if self._leave is None else of_watch),
            "o   sort by score, by gain over plain fine-tuning, or the newest first",
            "?   back to the picture",
        ]
