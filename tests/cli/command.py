"""Run the real command in a process of its own, as a person does."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.detector import SMALL_DETECTOR

TINY = {
    "dataset": "digits",
    "parameters": {
        "lower_lr": {"type": "float", "low": 0.1, "high": 1.0, "log": True},
        "upper_lr": {"type": "float", "low": 0.001, "high": 0.3, "log": True},
        "cg_iterations": {"type": "int", "low": 0, "high": 3},
    },
    "finetune_parameters": {"finetune_lr": {"type": "float", "low": 0.001, "high": 0.3, "log": True}},
    "fixed": {
        "backbone": "smallconv",
        "image_size": 8,
        "projector_width": 16,
        "projector_output": 16,
        "pretrain_epochs": 1,
        "pretrain_batch": 64,
        "pretrain_warmup": 0,
        "pretrain_lr": 0.5,
        "head_epochs": 1,
        "alternations": 4,
        "lower_steps": 2,
        "lower_batch": 16,
        "lower_warmup": 1,
        "upper_steps": 2,
        "upper_batch": 16,
        "finetune_epochs": 2,
        "finetune_batch": 20,
        "loader_processes": 0,
        **SMALL_DETECTOR,  # which other tasks don't read
    },
    "known_good": [{"lower_lr": 0.3, "upper_lr": 0.1, "cg_iterations": 2, "damping": 20.0}],
    "protocol": {
        "trials": 6,
        "finalists": 2,
        "finetune_runs": 2,
        "seeds": 2,
        "grace": 1,
        "reduction_factor": 2,
        "startup_trials": 3,
    },
}
"""A whole sweep in seconds, apart from the start of its processes."""


@dataclass
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


Refused = Callable[..., str]
"""Runs a command that must be refused; gives what it says."""


def one_line(text: str) -> str:
    """The text, which must be a single line."""
    assert text.count("\n") == 0, text
    return text


def tiny_space(folder: Path, **changes: dict[str, Any]) -> Path:
    """Write the tiny space, with sections changed key by key."""
    space = {name: dict(part) if isinstance(part, dict) else part for name, part in TINY.items()}
    for section, values in changes.items():
        space[section] = {**space[section], **values} if isinstance(values, dict) else values
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(space))
    return path


def checkpoint(folder: Path) -> Path:
    """Write a checkpoint of the tiny space's backbone, for sweeps whose subject is not the pretraining before them."""
    import torch

    from bissl_ray.models import build_backbone

    torch.manual_seed(0)
    path = folder / "ssl.pth"
    torch.save(build_backbone(TINY["fixed"]["backbone"]).state_dict(), path)
    return path


def environment(**extra: str) -> dict[str, str]:
    """The test's environment without anything of Ray's, and with `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, "OMP_NUM_THREADS": "1", **extra}


def start(*arguments: object, cwd: Path, **extra: str) -> "subprocess.Popen[str]":
    """Start `bissl-ray ARGUMENTS`; its output can be read while it runs."""
    return subprocess.Popen(
        [sys.executable, "-m", "bissl_ray", *map(str, arguments)],
        cwd=cwd,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> Done:
    """Run `bissl-ray ARGUMENTS` in this process: for what ends before anything is started."""
    from bissl_ray.cli.main import main

    monkeypatch.setattr(sys, "argv", ["bissl-ray", *map(str, arguments)])
    monkeypatch.setattr(os, "environ", os.environ.copy())
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    return Done(int(end.value.code or 0), said.out, said.err)


def run(*arguments: object, cwd: Path, **extra: str) -> Done:
    """Run `bissl-ray ARGUMENTS` to its end, at most ten minutes: a run that hangs, not one that is slow."""
    process = start(*arguments, cwd=cwd, **extra)
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    return Done(process.returncode, out, err)
