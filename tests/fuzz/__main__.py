"""The fuzz test by itself: `make fuzz`, or `python -m tests.fuzz --count 10000 --seed 0`.

Cases are drawn in turn from every kind and run in this process; what ends otherwise than a person should see it is a
line that runs the case again. The exit code is 1 where there is one.
"""

import argparse
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz import arguments, checkpoints, said, spaces, storages
from tests.fuzz.case import Case, Ending, random_of
from tests.fuzz.run import Place

KINDS: dict[str, tuple[Callable[[Random], Case], int]] = {
    "spaces": (spaces.draw, 30),
    "arguments": (arguments.draw, 30),
    "storages": (storages.draw, 25),
    "said": (said.draw, 8),
    "checkpoints": (checkpoints.draw, 7),
}
"""Each with what draws a case, and its share."""
_MOST_BYTES = 24 * 2**30
"""Of addresses; whatever asks for more is told that there is none."""


def kind_of(number: int) -> str:
    """The kind of a case, by the shares of all."""
    turn = [kind for kind, (_, share) in KINDS.items() for _ in range(share)]
    return turn[number * 37 % len(turn)]  # 37: neighbours are of different kinds


def ending_of(place: Place, kind: str, seed: int, number: int) -> tuple[Case, Ending]:
    """Draw a case, and run it."""
    case = KINDS[kind][0](random_of(kind, seed, number))
    return case, place.run(case)


def main() -> int:
    """Run the cases, and count how they ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--replay", metavar="KIND:SEED:NUMBER", help="run one case, and show it")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        place = Place(Path(folder))
        if asked.replay:
            return _replay(place, asked.replay)
        endings: Counter[tuple[str, str]] = Counter()
        faults: Counter[str] = Counter()
        for number in range(asked.count):
            kind = kind_of(number)
            if kind not in asked.kinds:
                continue
            case, ending = ending_of(place, kind, asked.seed, number)
            endings[kind, ending.outcome or "FAULT"] += 1
            if number % 500 == 499:
                sys.stderr.write(f"{number + 1} cases, {sum(faults.values())} faults\n")
            if ending.fault:
                faults[ending.fault] += 1
                _say(f"python -m tests.fuzz --replay {kind}:{asked.seed}:{number}  # {ending.fault}; {_shown(case)}")
    for (kind, outcome), count in sorted(endings.items()):
        _say(f"{kind:12} {outcome:12} {count:6}")
    _say(f"{sum(endings.values())} cases, {sum(faults.values())} faults of {len(faults)} kinds")
    for fault, count in faults.most_common():
        _say(f"{count:6} {fault}")
    return int(bool(faults))


def _replay(place: Place, named: str) -> int:
    kind, seed, number = named.split(":")
    case, ending = ending_of(place, kind, int(seed), int(number))
    _say(f"bissl-ray {' '.join(map(repr, case.argv))}")
    for name, value in case.environment.items():
        _say(f"{name}={value!r}")
    for name, content in case.files.items():
        _say(f"--- {name}: {len(content)} bytes\n{content[:3000].decode('utf-8', 'backslashreplace')!a}")
    _say(f"--- {ending.outcome or ending.fault}\n{ending.said}")
    return int(bool(ending.fault))


def _shown(case: Case) -> str:
    return ascii(" ".join(case.argv))[:120]


def _say(line: str) -> None:
    sys.stdout.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
