"""The view of a sweep: a picture that redraws in a terminal, plain lines everywhere else."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from rich.console import Console

from bissl_ray.leaderboard.live.keys import Keys
from bissl_ray.leaderboard.live.log import Entry, Log
from bissl_ray.leaderboard.live.picture import Asked, Picture
from bissl_ray.leaderboard.live.scene import Scene, banner
from bissl_ray.leaderboard.live.screen import Screen
from bissl_ray.leaderboard.live.terminal import Attended, Keyboard
from bissl_ray.leaderboard.live.words import line
from bissl_ray.progress import Event, Note, SweepProgress, Wishes
from bissl_ray.world import world

_FIGURES: Final = re.compile(r"\d+")
_TICK_S: Final = 2.0
"""Between two pictures without any news: the time goes on."""


class LiveBoard:
    """A view of a sweep: `with LiveBoard(console, "cars") as board: board.show(event)`.

    In a terminal the picture has a screen of its own, fits its height and width also when these change, and is
    looked after by keys. Elsewhere one plain line is printed when a run has ended, the phase has changed or there is
    trouble, and one for each trial that was stopped early, paused or failed, with no control codes.
    Notes are printed, and stay: above the picture's screen, once that is given back.

    Attributes:
        wishes: what the keys ask of the sweep.
    """

    def __init__(self, console: Console, title: str, leave: Callable[[], None] | None = None) -> None:
        """Prepare the board.

        Args:
            console: where to draw.
            title: name of the sweep and what it searches.
            leave: ends the view, of a sweep that another process runs; None: it runs here.
        """
        self._console = console
        self._title = title
        self.wishes = Wishes()
        self._keys = Keys(self.wishes, leave)
        self._drawing = threading.RLock()
        self._screen: Screen | None = None
        self._attended: Attended | None = None
        if console.is_interactive:
            self._screen = Screen(console, self._note)
            self._keyboard = Keyboard.of_input()
            self._attended = Attended(self._screen, self._keyboard, self._pressed, self._look)
        self._logs: dict[str | None, Log] = {}
        self._scene: Scene | None = None
        self._drawn: tuple[object, ...] = ()
        self._drawn_at = 0.0
        self._kept: list[str] = []
        self._said: tuple[object, ...] | None = None
        self._ended_early: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._attended is not None:
            self._attended.end()
        with self._drawing:
            kept, self._kept = self._kept, []
        for told in kept:
            self._print(told)

    def show(self, event: Event) -> None:
        """Draw where the sweep stands, or print a note."""
        match event:
            case SweepProgress():
                self._show(event)
            case Note(told):
                self._note(told)

    def _show(self, progress: SweepProgress) -> None:
        log = self._logs.setdefault(progress.sweep, Log())
        if self._attended is not None:
            scene = Scene.of(progress, log, world().monotonic())
            with self._drawing:
                self._scene = scene
            self._attended.begin()
            self._draw()
            return
        for entry in self._news(progress, log):
            self._print(entry.line)
        # How many rows wait is no news.
        trouble = _FIGURES.sub("", progress.trouble or "")
        news = (progress.sweep, progress.phase, progress.done, progress.failed, trouble, progress.doing is None)
        if news != self._said:
            self._said = news
            self._print(line(progress))

    def _news(self, progress: SweepProgress, log: Log) -> list[Entry]:
        """What has happened to trials; rows are looked at where their counts have changed, as there may be many."""
        counts = (progress.done, progress.paused, progress.pruned, progress.failed)
        if counts == self._ended_early:
            return []
        self._ended_early = counts
        return log.look(progress.trials())

    def _note(self, told: str) -> None:
        with self._drawing:
            if self._screen is not None and self._screen.taken:
                self._kept.append(told)
                if self._scene is not None:
                    log = self._logs[self._scene.progress.sweep]
                    log.note(told)
                    self._scene = replace(self._scene, entries=list(log.entries))
                self._draw()
                return
        self._print(told)

    def _print(self, told: str) -> None:
        self._console.print(told, markup=False, highlight=False, soft_wrap=True)

    # In a terminal, and by the thread that looks after it

    def _pressed(self, key: str) -> None:
        with self._drawing:
            if self._keys.pressed(key):
                self._draw()

    def _look(self) -> None:
        """Draw again where the size is another, a signal has come, or time has passed."""
        if self._drawn != self._as_it_is() or world().monotonic() - self._drawn_at >= _TICK_S:
            self._draw()

    def _as_it_is(self) -> tuple[object, ...]:
        return self._console.width, self._console.height, self.wishes.interrupted()

    def _draw(self) -> None:
        with self._drawing:
            scene, screen = self._scene, self._screen
            if scene is None or screen is None or not screen.taken:
                return
            now, as_it_is = world().monotonic(), self._as_it_is()
            asked = Asked(
                title=self._title,
                order=self._keys.order,
                keys=self._keys.line if self._keyboard is not None else "",
                help=self._keys.help if self._keys.helps else (),
                banner=banner(self.wishes, scene.progress.running),
                since=now - scene.at,
            )
            screen.draw(Picture(scene, asked, self._console))
            self._drawn, self._drawn_at = as_it_is, now
