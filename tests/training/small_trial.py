"""A trial on the digits so small that it takes a fraction of a second, and what the tests compare of it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.progress import Event, Note, Sender, TrialStoppedError
from bissl_ray.training import files
from bissl_ray.training.files import read_tensors, write_tensors
from bissl_ray.training.models import Models
from bissl_ray.training.order import Order
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.worker import Worker, alone

CPU = torch.device("cpu")
START = "pretrained/start.pt"
WHOLE = ("head", "bissl", "finetune")


def settings(**changes: Any) -> Settings:
    """Two alternations of two steps at each level, one epoch of everything else."""
    small = {
        "backbone": "smallconv",
        "image_size": 8,
        "projector_width": 16,
        "projector_output": 8,
        "alternations": 2,
        "lower_steps": 2,
        "lower_batch": 16,
        "lower_lr": 0.1,
        "lower_warmup": 1,
        "upper_steps": 2,
        "upper_batch": 20,
        "cg_iterations": 2,
        "head_epochs": 1,
        "finetune_epochs": 1,
        "finetune_batch": 20,
        "pretrain_epochs": 2,
        "pretrain_batch": 300,
        "pretrain_lr": 0.5,
        "pretrain_warmup": 1,
        "loader_processes": 0,
    }
    return Settings.model_validate({**small, **changes})


def order(storage: Path | str, stages: tuple[str, ...] = WHOLE, seed: int = 1, **changes: Any) -> Order:
    """An order on the digits; `changes` are settings."""
    return Order(
        trial="t000",
        data=DataChoice("digits"),
        storage=str(storage),
        sweep="small",
        settings=settings(**changes),
        seed=seed,
        stages=stages,
        start=START,
    )


def write_start(storage: Path | str, **changes: Any) -> None:
    """Write models to start from, the same ones in every storage."""
    torch.manual_seed(5)
    content = Models.build(settings(**changes), CPU).content()
    write_tensors(str(storage), START, {part: content[part] for part in ("backbone", "pretext")})


def one_for_each(storage: Path | str, setting: str, *values: Any, **changes: Any) -> list[Order]:
    """A trial for each value of a setting, called so, all from the same models; `changes` are other settings."""
    write_start(storage, **changes)
    return [renamed(order(storage, **{setting: value}, **changes), str(value)) for value in values]


def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a trial spend all its time on its own checkpoints: every moment to save is taken."""
    monkeypatch.setattr(files, "_WRITING_SHARE", 1e12)


class Reports(list[dict[str, Any]], Sender):
    """Collects a trial's rows; tells the trial to stop at one of them (counted from 1)."""

    def __init__(self, stop_at: int | None = None):
        list.__init__(self)
        Sender.__init__(self)
        self._stop_at = stop_at

    def deliver(self, event: Event) -> None:
        """Nothing but reports is looked at."""

    def stop_asked(self) -> bool:
        return False

    def due(self) -> bool:
        return False

    def report(self, row: Mapping[str, Any], is_chief: bool) -> None:
        self.append(dict(row))
        if len(self) == self._stop_at:
            raise TrialStoppedError


class Heard(Reports):
    """Notes too."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def deliver(self, event: Event) -> None:
        if isinstance(event, Note):
            self.notes.append(event.line)


def run(what: Order, worker: Worker | None = None, reports: Reports | None = None) -> dict[str, Any]:
    """Run a trial on the CPU; the result without what depends on the clock."""
    worker = worker or alone(CPU)
    result = run_order(what, worker, Reports() if reports is None else reports)
    return untimed(result)


def assert_ends_alike_wherever_stopped(
    whole: Order, rows: list[dict[str, Any]], result: dict[str, Any], stops: Iterable[int]
) -> None:
    """Fail unless a trial that is stopped at a report and gone on with ends as the undisturbed one did, bit for bit.

    It goes on where it was: nothing from before its last checkpoint is run again.
    """
    for stop_at in stops:
        again = renamed(whole, f"stopped-at-{stop_at}")
        with pytest.raises(TrialStoppedError):
            run(again, reports=Reports(stop_at))
        rest = Reports()
        found = run(again, reports=rest)
        earlier = rest[0].get("earlier", [])
        assert without_clock(rest) == without_clock(rows[stop_at - 1 :])
        # The first that it says is beside what it had said until it was saved.
        assert [untimed(row) for row in earlier] == [
            {key: value for key, value in untimed(row).items() if key != "so_far"} for row in rows[: stop_at - 1]
        ]
        assert found == {**result, "checkpoint": f"{again.folder}/finetuned.pt"}
        assert_bit_equal(saved_models(again), saved_models(whole))


def saved_models(what: Order) -> dict[str, torch.Tensor]:
    """Every tensor of a trial's final models, by file and name."""
    tensors: dict[str, torch.Tensor] = {}
    for name in ("aligned", "finetuned"):
        content = read_tensors(what.storage, f"{what.folder}/{name}.pt") or {}
        tensors.update({f"{name}/{key}": tensor for key, tensor in tensors_of(content).items()})
    return tensors


def tensors_of(content: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Every tensor of a model file, by part and name."""
    parts = [part for part in ("backbone", "pretext", "downstream") if content.get(part)]
    return {f"{part}/{key}": tensor for part in parts for key, tensor in content[part].items()}


def assert_bit_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Fail unless both hold the same tensors, bit for bit."""
    assert found.keys() == expected.keys()
    assert expected
    unlike = [name for name, tensor in expected.items() if not torch.equal(found[name], tensor)]
    assert unlike == []


def without_clock(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reports without times and memory, the path of the trial's own checkpoint, and what they tell again."""
    own = [{key: value for key, value in row.items() if key != "earlier"} for row in rows]
    return [{**untimed(row), "so_far": untimed(row["so_far"]) | {"checkpoint": None}} for row in own]


def untimed(values: dict[str, Any]) -> dict[str, Any]:
    timed = ("seconds", "gpu_seconds", "peak_memory", "alignment_seconds", "first_step_at", "ended_at")
    return {name: value for name, value in values.items() if name not in timed}


def changed(what: Order, **changes: Any) -> Order:
    """The same work but for some attributes, those of its data among them."""
    data = {name: changes.pop(name) for name in list(changes) if name in DataChoice.__dataclass_fields__}
    return what.model_copy(update={**changes, "data": replace(what.data, **data)})


def renamed(what: Order, trial: str) -> Order:
    """The same work under another name."""
    return changed(what, trial=trial)
