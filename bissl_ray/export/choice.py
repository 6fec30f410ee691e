"""Which run of a storage is exported: the one named, or the winner of a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard import Board, find_trial, read_board
from bissl_ray.store.schema import Row
from bissl_ray.words import Status, Step


@dataclass(frozen=True)
class ExportedRun:
    """A run whose model is exported.

    Attributes:
        row: of the run, as the store has it.
        configuration: the board's row of the configuration that it belongs to, with means over seeds; None where the
            board has none.
        verdict: what the sweep found out, in a sentence; None for a run of another configuration than the winner's.
        why: why it is this run, in words.
    """

    row: Row
    configuration: Row | None
    verdict: str | None
    why: str


def choose_run(storage: str | Path, trial: str | None = None, sweep: str | None = None) -> ExportedRun:
    """Find the run to export.

    Without a name it is, of the winning configuration's confirmation runs, the one with the best objective on the
    validation split: the test split has no say.

    Args:
        storage: a local path or a URI that pyarrow knows.
        trial: a trial's name; None: the winner.
        sweep: the sweep; may be left out where there is one, or one with such a trial.

    Raises:
        BadInputError: there is no such trial or sweep, there are several, or no configuration is confirmed yet.
    """
    if trial is not None:
        row, _ = find_trial(storage, trial, sweep)
        board = read_board(storage, row["dataset"], row["sweep"])
        return ExportedRun(row, *_standing(board, row), "named on the command line")
    board = read_board(storage, sweep=sweep)
    if board.empty:
        raise BadInputError(f"no trial in {storage}; start a sweep with `bissl-ray sweep`, or give --storage")
    if len(board.verdicts) > 1:
        sweeps = [verdict.sweep for verdict in board.verdicts]
        raise BadInputError(f"{storage} holds {len(sweeps)} sweeps; choose one with --sweep: {', '.join(sweeps)}")
    verdict = board.verdicts[0]
    if verdict.winner is None:
        raise BadInputError(
            f"sweep {verdict.sweep} has no confirmed configuration yet: finish it with `bissl-ray resume "
            f"{verdict.sweep}`, or name a trial"
        )
    _, children = find_trial(storage, verdict.winner, verdict.sweep)
    runs = [run for run in children if run["step"] == Step.SEEDS and run["status"] == Status.COMPLETE]
    best = max(runs, key=lambda run: (run["objective"], -run["seed"]))
    return ExportedRun(
        best,
        *_standing(board, best),
        f"of the {len(runs)} confirmation runs of {verdict.winner}, the winner of the sweep, the one with the best "
        "objective on the validation split",
    )


def run_of(metadata: Mapping[str, Any]) -> ExportedRun:
    """The run that a checkpoint file came from, as far as the file says."""
    known = ("dataset", "sweep", "trial", "objective", "objective_name", "git", "versions")
    row = {name: metadata.get(name) for name in known}
    unknown: Row = dict.fromkeys(("phase", "test_metric"))
    return ExportedRun(row | unknown, None, None, "its file was named on the command line")


def _standing(board: Board, run: Row) -> tuple[Row | None, str | None]:
    """The row of a run's configuration on its sweep's board, and the verdict where it is the winner's or control's."""
    verdict = board.verdicts[0]
    head = run["parent"] or run["trial"]
    configuration = next((row for row in board.rows if row["trial"] == head), None)
    return configuration, verdict.in_words if head in (verdict.winner, verdict.control) else None
