"""What a person may ask: the flags of the command line and the keywords of Python, declared once.

What a field is, its flag says; attributes that are listed here have none, or have more to be said of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from bissl_ray.config.data_choice import DataPlaces
from bissl_ray.config.flags import flag
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.errors import BadInputError

ModelFormat = Literal["safetensors", "pth"]
"""How the file of a model is laid out."""
Keys = Literal["torchvision", "timm"]
"""Whose parameter names it has."""

_SOURCES = "file, s3://, https://, hf://OWNER/NAME/FILE, timm/NAME.TAG"
_RESOURCES = """Beside CPUs and GPUs, by Ray's names: '{"accelerator_type:H100": 0.001}' keeps it to H100s."""
_GPU_PART = "Part of a GPU, for trials that share one: 0.25. [1, where there are GPUs]"
_ADDRESS_OF_DOCTOR = "Ray cluster whose machines are checked: auto or HOST:PORT. [RAY_ADDRESS, else this machine]"
_ADDRESS = "Ray cluster to join: auto or HOST:PORT. [RAY_ADDRESS, else one started here]"


@dataclass(frozen=True, kw_only=True)
class _Options(DataPlaces):
    storage: str = flag("Folder or URI for the results.", default="./runs", once="storage")
    address: str | None = flag(_ADDRESS, once="address")
    allow_partial: bool = flag(
        "Take what fits the backbone; the rest keeps fresh weights.",
        "--allow-partial",
        default=False,
        once="allow-partial",
    )

    def given(self) -> dict[str, object]:
        """What is not as it is by default, by field."""
        values = ((each, getattr(self, each.name)) for each in fields(self))
        return {each.name: value for each, value in values if value != each.default}


@dataclass(frozen=True, kw_only=True)
class _Groups:
    workers_per_trial: int = flag(
        "Workers that share a trial; a GPU each where there are.", default=1, once="workers-per-trial"
    )


@dataclass(frozen=True, kw_only=True)
class _AtATime:
    max_groups: int | None = flag(
        "Trials at a time at most, where others want room on the cluster. [all there is room for]", metavar="N", least=1
    )


@dataclass(frozen=True, kw_only=True)
class SweepOptions(_Options, _Groups, _AtATime):
    """A sweep, as asked for by `bissl-ray sweep` or `run_sweep`.

    Attributes:
        datasets: names, one sweep each; of the command line alone.
        dataset: name of a dataset; None: the space's, else digits, which needs no download.
        space: file or name; a resolved space is taken as it is.
        overrides: has the last word over a space that is loaded, in the shape of a space file, such as
            `{"protocol": {"trials": 8}}`.
        pretrained: a path, the URI of a storage, https://HOST/FILE, hf://OWNER/NAME/FILE or timm/NAME.TAG.
        splits_optional: whether `splits_dir` may be without files of this dataset, whose split is then as published or
            drawn: where it is one dataset of several.
    """

    datasets: list[str] | None = flag(
        "Dataset to sweep; give it again for several, one sweep each. [digits]",
        "--dataset",
        metavar="NAME",
        once="dataset",
    )
    dataset: str | None = None
    space: str | Path | SearchSpace | None = flag(
        "Search space: a file, or a shipped one's name. [the dataset's own]", once="space"
    )
    overrides: Mapping[str, Any] | None = None
    trials: int | None = flag("Explore trials. [as the space says]", once="trials")
    budget: str | None = flag("Stop exploring after this: 90m, 2h, 1d, or 40gpuh; confirmation follows.", once="budget")
    warm_from: str | None = flag(
        "Earlier sweeps of the storage, or datasets that they were on, whose trials are a start: night,pets.",
        metavar="NAME,NAME",
    )
    name: str | None = flag("Name of the sweep. [dataset and time]", "--name", "-n")
    gpus_per_worker: float | None = flag(_GPU_PART, metavar="FRACTION")
    resources: str | None = flag(_RESOURCES, metavar="JSON")
    pretrained: str | Path | None = flag(f"Self-supervised checkpoint: {_SOURCES}.", once="pretrained")
    pretrained_head: str | Path | None = flag(
        "Its pretext head, projector.* and predictor.*. [in it, or beside it]", once="pretrained-head"
    )
    pretrain: bool = flag(
        "Without a checkpoint, pretrain on the dataset's own images first.",
        "--pretrain",
        default=False,
        once="pretrain",
    )
    splits_optional: bool = False


@dataclass(frozen=True, kw_only=True)
class ResumeOptions(DataPlaces, _AtATime):
    """What is asked of a sweep that has begun, by `bissl-ray resume` or `resume_sweep`; folders: where data are now."""

    storage: str = flag("Folder or URI that holds it.", default="./runs", once="storage")
    trials: int | None = flag("Explore trials in all, to extend it. [as before]")
    budget: str | None = flag("Stop exploring after this, from now: 90m, 2h, 1d, or 40gpuh.", once="budget")
    address: str | None = flag(_ADDRESS, once="address")


@dataclass(frozen=True, kw_only=True)
class StageOptions(_Options):
    """A stage run by itself, as asked for by its verb.

    Attributes:
        from_trial: "SWEEP/TRIAL" or "TRIAL".
        seed: None: 0, or that of the trial that is run again; `workers` likewise, else 1.
    """

    dataset: str | None = flag("Dataset. [that of the space, trial or checkpoint; digits]", once="dataset")
    space: str | None = flag(
        "Search space that gives the settings: a file, or a shipped one. [the dataset's]", once="space"
    )
    point: int | None = flag("Which of the space's known-good points, counted from 1. [the first]")
    from_trial: str | None = flag(
        "Take the settings of this trial of a sweep; train without --start runs it again.", metavar="SWEEP/TRIAL"
    )
    assignments: list[str] | None = flag(
        "Set a training setting; give it again for more.", "--set", metavar="NAME=VALUE"
    )
    seed: int | None = flag("Fixes heads, order of the data, augmentations. [0; a trial again: its own]")
    workers: int | None = flag(
        "Workers that share the work, a GPU each where there are. [1: this process; a trial again: as many]",
        once="workers",
    )
    name: str | None = flag(
        "Name of the run; that of an interrupted one goes on. [dataset, verb and time]", "--name", "-n"
    )
    dry_run: bool = flag("Show every setting and where it came from; start nothing.", "--dry-run", default=False)
    start: str | None = flag(f"Checkpoint to start from: {_SOURCES}.", "--start", "--pretrained", once="pretrained")
    start_head: str | None = flag(
        "Its pretext head, projector.* and predictor.*. [in it, or beside it]",
        "--start-head",
        "--pretrained-head",
        once="pretrained-head",
    )
    address: str | None = flag("Ray cluster to join: auto or HOST:PORT. [RAY_ADDRESS, else none]", once="address")


@dataclass(frozen=True, kw_only=True)
class CompareOptions(_Options):
    """A comparison, as asked for by `bissl-ray compare`.

    Attributes:
        pretrained: none: what the space pretrains on an embedded dataset's own images.
        seeds: of the confirmation.
        space: None: each dataset's own.
        workers_per_trial: None: 1, or as it was asked for before.
    """

    datasets: list[str] | None = flag(
        "Dataset; give it again for several. [the space's, else digits]", "--dataset", metavar="NAME", once="dataset"
    )
    pretrained: list[str] | None = flag(
        "Self-supervised checkpoint, FILE or LABEL=FILE; give it again for several.",
        "--pretrained",
        metavar="FILE",
        once="pretrained",
    )
    pretrain_epochs: str | None = flag("Pretrain here, for each of these lengths: 5,20,80.")
    pretrained_head: str | None = flag(
        "Pretext head of the one checkpoint. [in it, or beside it]", once="pretrained-head"
    )
    seeds: int | None = flag("Seeds, the same on both sides. [as the space says]", least=2)
    trials: int | None = flag("Search BiSSL's configuration in so many trials. [it is held]", least=1)
    control: str | None = flag(
        "Compare with these as well, commas between: gradients, joint, continued, identity, scratch, frozen."
    )
    from_sweep: str | None = flag("Compare at this sweep's winner. [at the space's first known-good point]", "--from")
    space: str | None = flag("Search space: a file, or a shipped one's name.", once="space")
    assignments: list[str] | None = flag(
        "Hold a setting at a value: alternations=100; again for several.", "--set", metavar="NAME=VALUE"
    )
    name: str | None = flag("Name; a comparison of that name is gone on with. [compare and the time]", "--name", "-n")
    workers_per_trial: int | None = flag(
        "Workers that share a trial; a GPU each where there are. [1]", once="workers-per-trial"
    )
    gpus_per_worker: float | None = flag(_GPU_PART, metavar="FRACTION")
    resources: str | None = flag(_RESOURCES, metavar="JSON")


@dataclass(frozen=True, kw_only=True)
class BoardOptions:
    """What is read of a board, as asked for by `bissl-ray leaderboard`: see `leaderboard.read_board`."""

    storage: str = flag("Folder or URI that holds the results.", default="./runs", once="storage")
    dataset: str | None = flag("Only this dataset.")
    sweep: str | None = flag("Only this sweep.")
    top: int = flag("At most this many rows per dataset.", default=20, least=1, once="top")
    sort: str | None = flag("Order by this column; with a minus in front from large to small.")
    where: str | None = flag("Only such rows: \"param_upper_lr > 0.01 and status = 'complete'\".")
    pareto: bool = flag(
        "Only configurations that no other of the dataset beats in both score and time, confirmed and explored apart.",
        "--pareto",
        default=False,
    )
    columns: str | None = flag(
        "These columns, in this order: trial,objective,gain,param_upper_lr.", metavar="NAME,NAME"
    )


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """How a sweep is watched, as asked for by `bissl-ray watch`."""

    storage: str = flag("Folder or URI that holds the results.", default="./runs", once="storage")
    every: float = flag("Seconds between two looks at the storage.", default=5.0, least=0.5)


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """Whose trial is shown, as asked for by `bissl-ray show`."""

    sweep: str | None = flag("The sweep it belongs to, if several have one.")
    storage: str = flag("Folder or URI that holds the results.", default="./runs", once="storage")


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Which things of a storage are listed, as asked for by `bissl-ray list`."""

    dataset: str | None = flag("Only what is on this dataset.")
    storage: str = flag("Folder or URI that holds them.", default="./runs", once="storage")


@dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """Where the thing is that is looked at, as asked for by `bissl-ray status`."""

    storage: str = flag("Folder or URI that holds it.", default="./runs", once="storage")


@dataclass(frozen=True, kw_only=True)
class RemoveOptions:
    """What is removed, as asked for by `bissl-ray rm`."""

    storage: str = flag("Folder or URI that holds them.", default="./runs", once="storage")
    yes: bool = flag("Ask nothing.", "--yes", "-y", default=False)


@dataclass(frozen=True, kw_only=True)
class CleanOptions:
    """What is rid of what nothing needs, as asked for by `bissl-ray clean`."""

    storage: str = flag("Folder or URI to clean.", default="./runs", once="storage")
    dry_run: bool = flag("List what would go, with sizes; remove nothing.", "--dry-run", default=False)
    yes: bool = flag("Ask nothing.", "--yes", "-y", default=False)


@dataclass(frozen=True, kw_only=True)
class DiffOptions:
    """Whose trials are compared, as asked for by `bissl-ray diff`."""

    sweep: str | None = flag("The sweep that the trials belong to, if several have one of that name.")
    storage: str = flag("Folder or URI that holds the results.", default="./runs", once="storage")


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(DataPlaces, _Groups):
    """What is looked at, as asked for by `bissl-ray doctor`.

    Attributes:
        dataset: name; None: the space's, else digits.
    """

    storage: str = flag("Folder or URI to check, with all that is in it.", default="./runs", once="storage")
    address: str | None = flag(_ADDRESS_OF_DOCTOR, once="address")
    dataset: str | None = flag("Dataset that is to be on every machine. [digits]", metavar="NAME", once="dataset")
    space: str | None = flag(
        "Search space whose largest trial is tried: a file, or a shipped one. [the dataset's]", once="space"
    )


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What of a storage is written where, as asked for by `bissl-ray export`."""

    sweep: str | None = flag("The sweep, if there are several.")
    storage: str = flag("Folder or URI that holds the results.", default="./runs", once="storage")
    format: ModelFormat | None = flag("Of the file. [as --out ends, else safetensors]", "--format", "-f")
    keys: Keys | None = flag("Parameter names. [torchvision; timm for timm/NAME]")
    out: str | None = flag("File or URI to write; the card lies beside it, as .md. [TRIAL]", "--out", "-o")
    head: bool = flag("Include the classification layer, if any.", "--head/--no-head", default=True)
    config: bool = flag("Write the configuration instead, as a search space in YAML.", "--config", default=False)
    optuna: str | None = flag(
        "Write what was explored as a study of Optuna's instead, into this database: sqlite:///sweeps.db", metavar="URL"
    )
    force: bool = flag("Replace files that are there already.", "--force", default=False)


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is reported, and where it is written, as asked for by `bissl-ray report`."""

    storage: str = flag("Folder or URI that holds the results.", default="./runs", once="storage")
    out: Path = flag("File to write; an earlier report is replaced.", "--out", "-o", default=Path("report.html"))
    png: Path | None = flag("Write the main figures there as well, as PNG.", metavar="FOLDER")
    force: bool = flag("Replace a file that is no report.", "--force", default=False)


def named_once(flag_name: str, names: Sequence[str], noun: str = "dataset") -> Sequence[str]:
    """Names that were given to a flag, which must differ (raises BadInputError)."""
    if len(set(names)) < len(names):
        written = "".join(f" {flag_name} {name}" for name in names).strip()
        raise BadInputError(f"{written}: each {noun} once, please")
    return names
