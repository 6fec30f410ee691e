"""What a worker group is asked to do: one trial, described completely and serialisably."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from bissl_ray.config.settings import Settings
from bissl_ray.data import DataChoice

_BATCHES = {
    "pretrain": ("pretrain_batch",),
    "head": ("upper_batch",),
    "bissl": ("lower_batch", "upper_batch"),
    "finetune": ("finetune_batch",),
}
SCORING = frozenset({"score", "frozen"})
"""Stages that only score, each in an order of its own."""


@dataclass(frozen=True)
class Order:
    """One trial's work. Plain values only: it crosses processes as JSON.

    Attributes:
        trial: the trial's name, unique in its sweep.
        dataset: name in the dataset registry.
        data_dir: folder of the dataset as the workers see it; None for an embedded one.
        split_seed: fixes the train/validation split, where it is drawn.
        storage: storage URI of the sweep.
        sweep: the sweep's name; the trial's files lie in `<storage>/sweeps/<sweep>/checkpoints/<trial>`. None: a stage
            run by itself, whose files lie in `<storage>/stages/<trial>`.
        settings: every training setting, validated by `Settings`.
        seed: fixes initial heads, data order and augmentations.
        stages: names from `bissl_ray.training.pipeline.STAGES`, run in this order.
        start: path under the storage of the model file that the trial starts from; where the first stage is
            "pretrain", which starts from fresh weights, of the file that it writes.
        with_upper_budget: whether fine-tuning is prolonged by as many labelled images as BiSSL's upper level sees, so
            that the control gets as many as BiSSL and its fine-tuning together.
        splits_dir: folder of published index files as the workers see it; None: none are read.
        pretext_dataset: whose images the pretext sees; None: those of `dataset`.
        pretext_data_dir: folder of that as the workers see it; None: `data_dir`.
        keep_models: whether fine-tuned models are written; those of the fine-tuning search are looked at by nobody.
        split: what the stages that only score look at, "validation" or "test".
        frozen: how stage "frozen" judges the backbone, of "knn" and "linear_probe".
    """

    trial: str
    dataset: str
    data_dir: str | None
    split_seed: int
    storage: str
    sweep: str | None
    settings: dict[str, Any]
    seed: int
    stages: tuple[str, ...]
    start: str
    with_upper_budget: bool = False
    keep_models: bool = True
    splits_dir: str | None = None
    pretext_dataset: str | None = None
    pretext_data_dir: str | None = None
    split: str = "validation"
    frozen: tuple[str, ...] = ()

    @property
    def data(self) -> DataChoice:
        """What the workers open."""
        return DataChoice.of(self)

    @property
    def folder(self) -> str:
        """The trial's folder, relative to the storage."""
        return stage_folder(self.trial) if self.sweep is None else trial_folder(self.sweep, self.trial)

    def validated_settings(self) -> Settings:
        """The settings as their model (raises pydantic.ValidationError)."""
        return Settings.model_validate(self.settings)

    def to_mapping(self) -> dict[str, Any]:
        """Plain mapping, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, mapping: dict[str, Any]) -> "Order":
        """Rebuild from `to_mapping`."""
        return cls(**{**mapping, "stages": tuple(mapping["stages"]), "frozen": tuple(mapping["frozen"])})


def batches_of(stages: Iterable[str]) -> list[str]:
    """The settings that say how many images the workers share in a step, for all of some stages."""
    return list(dict.fromkeys(name for stage in stages for name in _BATCHES.get(stage, ())))


def stage_folder(name: str) -> str:
    """Where a stage run by itself keeps its files, relative to the storage."""
    return f"stages/{name}"


def trial_folder(sweep: str, trial: str) -> str:
    """Where a trial keeps its files, relative to the storage (DESIGN section 6)."""
    return f"sweeps/{sweep}/checkpoints/{trial}"
