"""Which files of trials something needs yet, by what reads them.

- `resume` goes on with trials that have not ended: from all that they have saved, and what they took over from others.
- Tuning starts from the aligned model of its explore trial, which must be among the best (`Planner.finalists`); who is,
  more trials change, now or when the sweep is extended. Nobody comes in who is behind now, but in a search by score
  and seconds, where a new trial may put one of the front behind and let another in: there all whole ones are kept.
- The look at the test split reads the fine-tuned models of the confirmation runs of whoever wins. Further seeds, and an
  extension, may change who that is: those of all whole confirmation runs are kept, BiSSL's and the control's.
- `export` writes a confirmation run of the winner, or a trial that is named: of those whose models go, the row says
  that it has none.
- `train --from-trial` begins where the trial began: at the pretrained models, or where its parent had come to.
- `evaluate`, `finetune` and `train` take any file, and documents name what they took (`catalog.named`).
- `leaderboard`, `show`, `compare` and `diff` read rows.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from bissl_ray.config.protocol import Protocol
from bissl_ray.search.planner import Planner
from bissl_ray.search.records import Record
from bissl_ray.words import Phase, Status, Step

_HOW_FAR: Final = frozenset({"progress.pt", "inherited.pt"})
_ALIGNED: Final = "aligned.pt"
_FINETUNED: Final = "finetuned.pt"


class Needless(NamedTuple):
    """A file that nothing needs.

    Attributes:
        path: relative to the storage.
        bytes: of it.
        why: nothing needs it, in words.
    """

    path: str
    bytes: int
    why: str


def needless_of_sweep(
    planner: Planner, protocol: Protocol, files: Mapping[str, int], finished: bool
) -> Iterator[Needless]:
    """Files of a sweep's trials that nothing needs; nobody works on the sweep, and all of its rows can be read.

    Args:
        planner: of the sweep, to be looked at.
        protocol: of the sweep.
        files: of the sweep, with their sizes.
        finished: whether all of it has run.
    """
    tuned = _may_be_tuned(planner, protocol)
    shown = {record.parent for record in planner.confirmed(Phase.CONFIRM)} | {f.trial for f in planner.finalists()}
    for path, size in sorted(files.items()):
        parts = PurePosixPath(path).parts
        if len(parts) != 5 or parts[0] != "sweeps" or parts[2] != "checkpoints":
            continue
        trial, name = parts[3], parts[4]
        why = _why(planner.records.get(trial), name, tuned, shown, finished)
        if why is not None:
            yield Needless(path, size, why)


def _why(record: Record | None, name: str, tuned: set[str], shown: set[str | None], finished: bool) -> str | None:
    """Why a file of a trial is needless; None: it is not."""
    if name not in (_ALIGNED, _FINETUNED, *_HOW_FAR):
        return None
    if record is None:
        # Of a driver that was killed before it wrote the row; a successor in a population begins from it.
        return "of a trial that has no row, in a sweep that has ended" if finished and name in _HOW_FAR else None
    if not record.ended:
        return None
    if name in _HOW_FAR:
        return "how far a trial was that has ended since"
    if record.trial in tuned:
        return None
    if record.status != Status.COMPLETE:
        return (
            f"of a trial that has {record.status}" if record.status == Status.FAILED else "of a trial that was pruned"
        )
    if name == _ALIGNED and record.step == Step.SEARCH:
        return "explored, and not among the best"
    if name == _ALIGNED and record.step == Step.SEEDS and record.phase == Phase.CONFIRM:
        return None if record.parent in shown else "confirmed before fine-tuning, and neither winner nor finalist"
    return None


def _may_be_tuned(planner: Planner, protocol: Protocol) -> set[str]:
    """Explore trials that fine-tuning runs start from, have started from, or may yet start from."""
    explored = planner.ledger.of(Phase.EXPLORE, Step.SEARCH)
    best = planner.ledger.best(len(explored) if protocol.trade_off is not None else protocol.finalists)
    parents = {record.parent for record in planner.records.values() if record.phase == Phase.CONFIRM}
    return {record.trial for record in best} | {parent for parent in parents if parent is not None}
