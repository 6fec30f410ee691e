"""A small, seeded part of the fuzz test: nothing of it may end otherwise than a person should see it."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import ending_of, kind_of
from tests.fuzz.run import Place

CASES = 250


@pytest.mark.slow
def test_mutated_input_ends_in_a_line(tmp_path: Path) -> None:
    place = Place(tmp_path)
    faults, endings = [], set()
    for number in range(CASES):
        kind = kind_of(number)
        _, ending = ending_of(place, kind, 20, number)
        endings.add((kind, ending.outcome))
        if ending.fault:
            faults.append(f"python -m tests.fuzz --replay {kind}:20:{number}  # {ending.fault}")
    assert not faults, "\n".join(faults)
    # It draws what passes too, not only what the first look refuses.
    assert {
        (kind, outcome)
        for kind in ("spaces", "arguments", "storages", "said", "checkpoints")
        for outcome in ("done", "refused")
    } <= endings
