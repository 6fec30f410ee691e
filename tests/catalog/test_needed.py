"""What is called needless no sweep ever asks for again: wherever it is interrupted, resumed or extended."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from bissl_ray.catalog.needed import needless_of_sweep
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.requests import SweepRequest
from bissl_ray.search.history import is_finished, look
from bissl_ray.search.plans import TEST_STAGES
from bissl_ray.search.records import Record
from tests.search.small_space import space, store_rows
from tests.search.whole_sweep import WholeSweep, from_store, share

PROTOCOLS: list[dict[str, Any]] = [
    {},
    {"finalists": 1, "finetune_runs": 1},
    {"most_seeds": 8},
    {"trade_off": "seconds", "early_stopping": False, "finalists": 3},
    {"finetune_seeds": 2, "most_seeds": 6, "finalists": 3},
]
FILES = ("aligned.pt", "finetuned.pt", "progress.pt", "inherited.pt")


def ends(seed: int):
    def status(record: Record) -> str:
        record.seconds = 100 * share(record.trial, seed, "seconds")
        drawn = share(record.trial, seed, "status")
        return "pruned" if drawn < 0.3 and record.step == "search" else "failed" if drawn > 0.93 else "complete"

    return status


def needless(records: list[Record], request: SweepRequest) -> set[str]:
    """Of all files that trials could have: TRIAL/FILE."""
    planner = look(request, *store_rows(records, request.space))
    files = {f"sweeps/night/checkpoints/{record.trial}/{name}": 1 for record in records for name in FILES}
    found = needless_of_sweep(planner, request.space.protocol, files, is_finished(planner))
    return {"/".join(PurePosixPath(each.path).parts[3:]) for each in found}


def asked_for(sweep: WholeSweep) -> set[str]:
    """Files of trials that what a sweep started began from."""
    asked = set()
    for plan in sweep.started:
        if plan.stages == TEST_STAGES:
            asked.add(f"{plan.record.trial}/finetuned.pt")
        elif plan.start is not None:
            asked.add(f"{plan.start}/aligned.pt")
    return asked


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "protocol"), [*enumerate(PROTOCOLS)])
def test_nothing_needless_is_ever_asked_for_again(seed: int, protocol: dict[str, Any]) -> None:
    own = space(protocol)
    request = SweepRequest(name="night", data=DataChoice(dataset="digits"), space=own)
    whole = WholeSweep(own, slots=3, seed=seed, status=ends(seed)).run()
    more = space({**protocol, "trials": 11})
    removed_any = False
    for snapshot in [*whole.snapshots[seed :: len(whole.snapshots) // 4], whole.snapshots[-1]]:
        gone = needless(snapshot, request)
        removed_any |= bool(gone)
        opened = {record.trial for record in snapshot if not record.ended}
        assert not {name for name in gone if name.split("/")[0] in opened}
        for further in (own, more):
            sweep = WholeSweep(further, slots=2, seed=seed + 1, status=ends(seed), records=from_store(snapshot, own))
            sweep.run()
            assert not asked_for(sweep) & gone
    assert removed_any


def test_of_a_finished_sweep_the_winner_and_the_finalists_keep_all() -> None:
    own = space()
    request = SweepRequest(name="night", data=DataChoice(dataset="digits"), space=own)
    sweep = WholeSweep(own).run()
    gone = needless(list(sweep.records.values()), request)
    models = {name for name in gone if not name.endswith(("progress.pt", "inherited.pt"))}
    finalists = {record.trial for record in sweep.planner.finalists()}
    explored = {record.trial for record in sweep.of("explore", "search")}
    assert models == {f"{trial}/aligned.pt" for trial in explored - finalists}
    # How far a trial was that has ended is of no use to anybody.
    assert {name for name in gone if name.endswith("progress.pt")} == {f"{name}/progress.pt" for name in sweep.records}
