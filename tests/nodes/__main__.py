"""Lose, drain and add the nodes of a cluster in every step of real sweeps: `make nodetest` (issue 19).

A driver on the head of a cluster on 127.0.0.1. Each sweep ends with the trials, settings and scores of one that ran on
one node undisturbed. Prints what became of each fault, at last as a table: faults by steps (docs/cluster.md).
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.nodes import cases
from tests.nodes.cases import Outcome, Trials
from tests.nodes.faulty import STEPS

_OF: Final[dict[str, tuple[tuple[int, int], Callable[[Path, Trials], list[Outcome]]]]] = {
    "worker": ((2, 2), lambda folder, expected: cases.lost(folder, "worker", STEPS, expected)),
    "owner": ((2, 2), lambda folder, expected: cases.lost(folder, "owner", STEPS[1:], expected, small_head=True)),
    "message line": ((2, 2), lambda folder, expected: cases.lost(folder, "message line", STEPS[:1], expected)),
    "alone": ((2, 1), lambda folder, expected: cases.lost_alone(folder, STEPS[1:], expected)),
    "drained": ((2, 2), lambda folder, expected: cases.drained(folder, STEPS[1:2], expected, workers=2)),
    "drained pretraining": (
        (2, 1),
        # Sooner than pretraining is over.
        lambda folder, expected: cases.drained(folder, STEPS[:1], expected, workers=1, seconds=2),
    ),
    "drained alone": ((2, 1), lambda folder, expected: cases.drained(folder, STEPS[1:4], expected, workers=1)),
    "added": ((1, 1), lambda folder, expected: [cases.added(folder, expected)]),
    "head": ((2, 2), cases.head_restarted),
    "head with Redis": ((2, 2), cases.head_restarted_with_redis),
}
"""Each kind of fault: CPUs of the node that it is held against and workers of a trial, and what is done."""


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.nodes", description=__doc__)
    parser.add_argument("faults", nargs="*", choices=[*_OF, []], help="which; without any, all")
    asked = parser.parse_args().faults or list(_OF)
    undisturbed: dict[tuple[int, int], Trials] = {}
    table: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as place:
        for fault in asked:
            size, strike = _OF[fault]
            try:
                if size not in undisturbed:
                    undisturbed[size] = cases.undisturbed(Path(place) / "undisturbed-{}-{}".format(*size), *size)
                    _say("undisturbed, one node of {} CPUs, {} a trial".format(*size))
                found = strike(Path(place) / fault.replace(" ", "-"), undisturbed[size])
            except (AssertionError, OSError) as error:
                table[fault] = dict.fromkeys(STEPS, "") | {STEPS[0]: "FAILED"}
                _say(f"{fault}: {type(error).__name__}: {error}")
                continue
            table[fault] = {row.step: _cell(row) for row in found}
            for row in found:
                _say(f"{row.fault}, {row.step}: {_cell(row)}: {row.words}")
    _say(f"| fault | {' | '.join(STEPS)} |\n| --- |{' --- |' * len(STEPS)}")
    for fault, cells in table.items():
        _say(f"| {fault} | {' | '.join(cells.get(step, '') for step in STEPS)} |")
    return 1 if any("FAILED" in cells.values() for cells in table.values()) else 0


def _cell(row: Outcome) -> str:
    """When it went on, of a sweep that ended as the undisturbed one; what is not so has failed before."""
    return "same" if row.seconds is None else f"{row.seconds:.0f} s, same"


if __name__ == "__main__":
    sys.exit(main())
