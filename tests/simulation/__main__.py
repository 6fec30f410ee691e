"""Run many schedules: `python -m tests.simulation --count 10000`; one that fails prints the line that replays it."""

import argparse
import sys
import time
import warnings
from collections import Counter
from contextlib import nullcontext

from tests.simulation.planted import PLANTED
from tests.simulation.quick_rows import quick_rows
from tests.simulation.schedule import Schedule


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="schedules")
    parser.add_argument("--seed", type=int, default=0, help="of the first; each has the next number")
    parser.add_argument("--planted", choices=PLANTED, help="with a fault put back; ends at the first that finds it")
    parser.add_argument("--parquet", action="store_true", help="real Parquet, which takes three times as long")
    parser.add_argument("--log", action="store_true", help="what happened, moment by moment")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    begin, incidents, failed = time.monotonic(), Counter[str](), 0
    with nullcontext() if asked.parquet else quick_rows(), PLANTED.get(asked.planted, nullcontext)():
        for number in range(asked.count):
            schedule = Schedule(asked.seed + number)
            try:
                schedule.run()
            except Exception as error:
                failed += 1
                line = f"python -m tests.simulation --log --count 1 --seed {schedule.seed}"
                planted = f" --planted {asked.planted}" if asked.planted else ""
                _say(f"{line}{planted}: {' '.join(str(error).split())[:300]}")
            incidents += schedule.injected
            if asked.log:
                _say("\n".join(schedule.world.log))
            if asked.planted and failed:
                _say(f"found after {number + 1} schedules")
                return 0
    told = ", ".join(f"{count} {what}" for what, count in sorted(incidents.items()))
    _say(f"{asked.count} schedules in {time.monotonic() - begin:.0f} s, {failed} failed; {told}")
    return 1 if failed or asked.planted else 0


if __name__ == "__main__":
    sys.exit(main())
