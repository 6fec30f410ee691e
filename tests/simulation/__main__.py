"""Run many schedules: `python -m tests.simulation --count 10000`; one that fails prints the line that replays it."""

import argparse
import os
import sys
import time
from collections import Counter

from tests.simulation.planted import PLANTED
from tests.simulation.several import outcomes


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="schedules")
    parser.add_argument("--seed", type=int, default=0, help="of the first; each has the next number")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="schedules at a time (every processor)")
    parser.add_argument("--planted", choices=PLANTED, help="with a fault put back; ends at the first that finds it")
    parser.add_argument("--parquet", action="store_true", help="real Parquet, which takes three times as long")
    parser.add_argument("--log", action="store_true", help="what happened, moment by moment")
    asked = parser.parse_args()
    begin, incidents, failed = time.monotonic(), Counter[str](), 0
    seeds = range(asked.seed, asked.seed + asked.count)
    for outcome in outcomes(seeds, 1 if asked.planted else asked.jobs, asked.planted, asked.parquet):
        incidents += outcome.injected
        if outcome.problem is not None:
            failed += 1
            line = f"python -m tests.simulation --log --count 1 --seed {outcome.seed}"
            planted = f" --planted {asked.planted}" if asked.planted else ""
            _say(f"{line}{planted}: {outcome.problem}")
        if asked.log:
            _say("\n".join(outcome.log))
        if asked.planted and failed:
            _say(f"found after {outcome.seed - asked.seed + 1} schedules")
            return 0
    told = ", ".join(f"{count} {what}" for what, count in sorted(incidents.items()))
    _say(f"{asked.count} schedules in {time.monotonic() - begin:.0f} s, {failed} failed; {told}")
    return 1 if failed or asked.planted else 0


if __name__ == "__main__":
    sys.exit(main())
