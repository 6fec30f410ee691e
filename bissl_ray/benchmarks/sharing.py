"""Sharing: how fast trials of the digits' size go, several at the same time on one device."""

import multiprocessing
import queue
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bissl_ray.benchmarks.device import device_name
from bissl_ray.benchmarks.stage_rounds import trial_for
from bissl_ray.config import load_search_space
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.errors import RunFailedError
from bissl_ray.training.clock import now
from bissl_ray.training.precision import training_arithmetic
from bissl_ray.training.stages.bissl import trainer_of
from bissl_ray.training.worker import Worker, alone, cap_memory, default_device

_DATASET = "digits"
_ENDLESS = 10**6
_PATIENCE_S = 300.0
_LAST_WORD_S = 5.0


@dataclass(frozen=True)
class Question:
    """What to measure: see `bissl-ray bench sharing --help`."""

    trials: list[int]
    seconds: float


@dataclass(frozen=True)
class Row:
    """Some trials at the same time.

    Attributes:
        trials: how many.
        rates: of each, steps of both levels per second.
        rate: of all together.
        ratio: to the first row's `rate`.
    """

    trials: int
    rates: list[float]
    rate: float
    ratio: float


@dataclass(frozen=True)
class Measurement:
    """All rows, and what they were measured on; threads: of each trial by row, None on a GPU."""

    question: Question
    device: str
    threads: list[int] | None
    rows: list[Row]


def measure_sharing(question: Question) -> Measurement:
    """Run alternations of BiSSL on the digits in 1, 2, ... processes at the same time.

    Raises:
        RunFailedError: a process ended early, or did not begin.
    """
    device, cores = default_device(), torch.get_num_threads()
    on_gpu = device.type == "cuda"
    threads = [1 if on_gpu else max(1, cores // trials) for trials in question.trials]
    rows: list[Row] = []
    for trials, each in zip(question.trials, threads, strict=True):
        rates = _rates(trials, each, question.seconds)
        rows.append(Row(trials, rates, sum(rates), sum(rates) / (rows[0].rate if rows else sum(rates))))
    name = device_name(device) if on_gpu else f"CPU, {cores} thread{'s' * (cores != 1)} in all"
    return Measurement(question, name, None if on_gpu else threads, rows)


def _rates(trials: int, threads: int, seconds: float) -> list[float]:
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(trials), context.Queue()
    processes = [
        context.Process(target=_run, args=(seed, trials, threads, seconds, together, results), daemon=True)
        for seed in range(trials)
    ]
    for process in processes:
        process.start()
    try:
        return [_rate(results, _PATIENCE_S + seconds) for _ in processes]
    except RunFailedError as error:
        raise RunFailedError(f"{trials} trials at the same time: {error}") from None
    finally:
        together.abort()
        for process in processes:
            process.join(_LAST_WORD_S)
            process.kill()


def _rate(results: Any, patience: float) -> float:
    """The next process's rate (raises RunFailedError)."""
    try:
        found: float | str = results.get(timeout=patience)
    except queue.Empty:
        raise RunFailedError("a process did not end in time") from None
    if isinstance(found, str):
        raise RunFailedError(found)
    return found


def _run(seed: int, trials: int, threads: int, seconds: float, together: Any, results: Any) -> None:
    try:
        torch.set_num_threads(threads)
        worker = alone()
        cap_memory(worker.device, 1 / trials)
        with tempfile.TemporaryDirectory() as folder:
            results.put(_steps_per_second(worker, Path(folder), seed, seconds, together))
    except BaseException as error:
        results.put(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        raise


def _steps_per_second(worker: Worker, folder: Path, seed: int, seconds: float, together: Any) -> float:
    space = load_search_space(_DATASET)
    settings = space.settings({**space.known_good[0]}).model_copy(update={"alternations": _ENDLESS})
    trial = trial_for(settings, DataChoice(_DATASET), folder, worker, seed)
    steps = settings.lower_steps + settings.upper_steps
    with (
        training_arithmetic(settings.precision),
        trial.data.pretext_batches("bench", settings.lower_batch, 0) as lower,
        trial.data.labelled("bench", settings.upper_batch, 0) as upper,
    ):
        trainer = trainer_of(trial)
        trainer.alternation(lower, upper)
        together.wait(_PATIENCE_S)
        begin, done = now(worker.device), 0
        while time.perf_counter() - begin < seconds:
            trainer.alternation(lower, upper)
            done += steps
        return done / (now(worker.device) - begin)
