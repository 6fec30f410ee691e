"""A storage with a sweep of any size, written by the real writers: what a report is made of."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bissl_ray.config.columns import to_columns
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.store import SweepWriter
from bissl_ray.store.documents import write_document
from tests.search.small_space import PARAMETERS, space

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def write_sweep(
    storage: Path,
    trials: int = 30,
    name: str = "night",
    alternations: int = 4,
    grace: int = 2,
    reports: bool = True,
    confirmed: bool = True,
    reason: str = "diverged",
    choices: Sequence[str] = ("cg", "neumann"),
    objective_name: str = "validation_top1",
    **protocol: Any,
) -> SearchSpace:
    """Write one: two in three trials are stopped at the first rung, one fails; two are confirmed, with their control.

    Args:
        storage: where.
        trials: that were explored.
        name: of the sweep.
        alternations: of a trial that runs to its end.
        grace: alternations to the first rung.
        reports: whether each alternation left one.
        confirmed: whether any was confirmed.
        reason: why the failed one did.
        choices: solvers that were searched.
        objective_name: what the scores are.
        protocol: what is otherwise than `small_space.PROTOCOL` has it.
    """
    draws = random.Random(7)
    searched = {**PARAMETERS, "solver": {"type": "categorical", "choices": list(choices)}}
    held = {"alternations": alternations}
    found = space({"trials": max(trials, 1), "grace": grace, **protocol}, fixed=held, parameters=searched)
    rows, told, of_bissl = [], [], {"stage": "bissl"}
    for number in range(trials):
        point = {
            "lower_lr": 0.1 * 48 ** draws.random(),
            "direct_weight": draws.random(),
            "cg_iterations": draws.randrange(11),
            "solver": draws.choice(choices),
        }
        at = _BEGIN + timedelta(minutes=number)
        best = 0.5 + 0.3 * point["direct_weight"] + 0.05 * draws.random()
        whole = number % 3 == 0 or not found.protocol.early_stopping
        status = "failed" if number == 4 else "complete" if whole else "pruned"
        reached = alternations if whole else grace
        curve = [best - 0.1 / (step + 1) for step in range(reached)]
        rows.append(
            {
                **to_columns(found.settings(point)),
                "trial": f"t{number:05d}",
                "status": status,
                "status_reason": reason if status == "failed" else None,
                "phase": "explore",
                "step": "search",
                "origin": "random",
                "seed": 0,
                "objective": None if status == "failed" else curve[-1],
                "seconds": 5.0 * reached + point["cg_iterations"],
                "alternations": reached,
                "implicit_change": 0.2,
                "started_at": at,
                "ended_at": at + timedelta(seconds=50),
            }
        )
        told += [
            {**of_bissl, "trial": rows[-1]["trial"], "alternation": step, "objective": value, "seconds": 5.0 * step}
            for step, value in enumerate(curve if reports else [], start=1)
        ]
    if confirmed:
        rows += _confirmations(found, [f"t{number:05d}" for number in (0, 3)])
        told += _finetuning(rows)
    shared = {"objective_name": objective_name, "git": "abc", "versions": '{"torch": "2"}', "device": "CPU AVX2"}
    settings = {name: value for name, value in found.settings({}).model_dump().items() if value is not None}
    unset = to_columns(found.settings({})).keys() - {f"param_{name}" for name in settings}
    with SweepWriter(storage, "digits", name, {key: type(value) for key, value in settings.items()}) as writer:
        for row in rows:
            writer.trial({key: value for key, value in {**shared, **row}.items() if key not in unset})
        for report in told:
            writer.report({"objective_name": objective_name, **report})
    request = SweepRequest(name=name, data=DataChoice("digits"), space=found)
    sizes = {"pretext": 50, "train": 50, "validation": 20, "test": 30, "classes": 10}
    asked = f"bissl-ray sweep --name {name}"
    write_document(storage, name, SweepDocument(request=request, fingerprint="f00d" * 16, data=sizes, command=asked))
    return found


def _confirmations(found: SearchSpace, parents: list[str]) -> list[dict[str, Any]]:
    settings = to_columns(found.settings({}))
    ended = {**settings, "status": "complete", "seconds": 60.0, "started_at": _BEGIN, "ended_at": _BEGIN}
    rows = [{**ended, "trial": "control-f0", "phase": "control", "step": "tuning", "objective": 0.8, "seed": 0}]
    for parent, phase, score in (*((name, "confirm", 0.85) for name in parents), ("control-f0", "control", 0.82)):
        for seed in (1, 2, 3):
            own = {"parent": parent, "trial": f"{parent}-seed{seed}", "step": "seeds", "seed": seed, "phase": phase}
            rows.append({**ended, **own, "objective": score + 0.004 * seed, "test_metric": score - 0.01 + 0.003 * seed})
    return rows


def _finetuning(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"trial": row["trial"], "stage": "finetune", "epoch": epoch, "objective": row["objective"] - 0.2 / epoch}
        for row in rows
        if row["step"] == "seeds"
        for epoch in (1, 2, 3)
    ]
