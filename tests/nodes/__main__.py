"""Lose, drain and add the nodes of a cluster in every step of real sweeps: `make nodetest` (issue 19).

A driver on the head of a cluster on 127.0.0.1. Each sweep ends with the trials, settings and scores of one that ran on
one node undisturbed. Prints what became of each fault, as a table (docs/cluster.md).
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
    "drained pretraining": ((2, 1), lambda folder, expected: cases.drained(folder, STEPS[:1], expected, workers=1)),
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
    failed, rows = [], list[Outcome]()
    with tempfile.TemporaryDirectory() as place:
        for fault in asked:
            size, strike = _OF[fault]
            if size not in undisturbed:
                undisturbed[size] = cases.undisturbed(Path(place) / "undisturbed-{}-{}".format(*size), *size)
                _say("undisturbed, one node of {} CPUs, {} a trial".format(*size))
            try:
                found = strike(Path(place) / fault.replace(" ", "-"), undisturbed[size])
            except AssertionError as error:
                failed.append(fault)
                _say(f"{fault}: {error}")
                continue
            rows += found
            _say(f"{fault}: the same trials, settings and scores")
    _say("| fault | step | seconds | what was said |\n| --- | --- | ---: | --- |")
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
        _say(f"| {row.fault} | {row.step} | {seconds} | {row.words} |")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
