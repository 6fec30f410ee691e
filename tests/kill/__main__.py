"""Kill a sweep's processes at random moments and resume it, and see that nothing is lost: `make killtest` (issue 18).

Real sweeps of digits on a Ray of their own. Between two kills all rows that can be read are noted; at the end each
must be there once, as it was; every trial has ended once, and the winner's checkpoint loads.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from tests.cli.command import checkpoint, tiny_space
from tests.kill.sweep import KINDS, Sweep

_VITAL: Final = ("driver", "raylet", "GCS")
"""A driver that has lost one ends, or starts another Ray if it was about to start."""
_LATEST: Final = 12.0  # seconds to the next kill
_AT_ONCE: Final = 0.25  # share of kills for which that counts from the last one: else from the next row that is written


class Tally:
    """What was killed, and what came of it."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.kills = Counter[str]()
        self.outcomes = Counter[tuple[str, str]]()
        self._open: list[tuple[str, int]] = []

    def killed(self, kind: str, sweep: Sweep) -> None:
        self.kills[kind] += 1
        sweep.losses += kind not in _VITAL
        self._open.append((kind, sweep.rows()))
        self.say(f"kill {self.kills.total()}: {kind} of {sweep.name}")

    def went_on(self, sweep: Sweep) -> None:
        """Count the kills after which the same driver has got further (without a daemon: to the sweep's end)."""
        further = [each for each in self._open if each[0] not in _VITAL and sweep.rows() > each[1]]
        self._close("went on", self._open if sweep.finished else further)

    def ended(self) -> None:
        """Count the others: their driver has ended, and another is about to resume the sweep."""
        self._close("resumed", self._open)

    def _close(self, outcome: str, which: list[tuple[str, int]]) -> None:
        self.outcomes.update((kind, outcome) for kind, _ in which)
        self._open = [each for each in self._open if each not in which]

    def say(self, line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.begin:6.0f} s  {line}\n")
        sys.stdout.flush()

    def table(self) -> str:
        rows = [
            f"| {kind} | {self.kills[kind]} | {self.outcomes[kind, 'went on']} | {self.outcomes[kind, 'resumed']} |"
            for kind in KINDS
        ]
        return "\n".join(
            ["| killed | times | the sweep went on | was resumed |", "| --- | ---: | ---: | ---: |", *rows]
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="kills")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed, and when")
    parser.add_argument("--patience", type=float, default=300, help="seconds without a row that are a hang; busy: more")
    asked = parser.parse_args()
    warnings.simplefilter("error")
    chance, tally, number = random.Random(asked.seed), Tally(), 0
    with tempfile.TemporaryDirectory() as place, ExitStack() as ends:
        folder = Path(place)
        tiny_space(folder, fixed={"alternations": 8, "lower_steps": 8}, protocol={"trials": 8, "seeds": 3})
        checkpoint(folder)
        sweep: Sweep | None = None
        while tally.kills.total() < asked.count or (sweep is not None and not sweep.finished):
            if sweep is None or sweep.finished:
                sweep, number = Sweep(folder, number, asked.patience), number + 1
                ends.callback(sweep.give_up)
            sweep.drive()
            while tally.kills.total() < asked.count:
                if chance.random() >= _AT_ONCE:
                    sweep.gets_on()
                if not sweep.runs(chance.uniform(0, _LATEST)):
                    break
                found = sweep.processes()
                sweep.note()
                tally.went_on(sweep)
                kind = min(found, key=lambda kind: (tally.kills[kind], chance.random()))
                with suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(chance.choice(found[kind]), signal.SIGKILL)
                    tally.killed(kind, sweep)
            code, said = sweep.end()
            sweep.note()
            sweep.finished = code == 0
            tally.went_on(sweep)
            tally.ended()
            tally.say(f"{sweep.name} ended with {code}: {said[:150]}")
            if sweep.finished:
                sweep.check_end()
    tally.say(f"{tally.kills.total()} kills in {number} sweeps; nothing lost, doubled or changed")
    sys.stdout.write(f"{tally.table()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
