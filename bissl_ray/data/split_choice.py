"""How a dataset's validation images are to be split off."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SplitChoice:
    """Which of the possible train/validation splits.

    Attributes:
        seed: of a drawn split; doesn't matter where a split is published with the data or in `folder`.
        folder: holds index files as the paper's authors publish them (see `split_files`); None: none are read.
    """

    seed: int = 0
    folder: Path | None = None
