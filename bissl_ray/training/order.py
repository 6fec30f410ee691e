"""What a worker group is asked to do: one trial, described completely and serialisably."""

import hashlib
from collections.abc import Iterable
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.store.paths import stage_folder, trial_folder

_BATCHES: Final = {
    "pretrain": ("pretrain_batch",),
    "head": ("upper_batch",),
    "bissl": ("lower_batch", "upper_batch"),
    "joint": ("lower_batch", "upper_batch"),
    "finetune": ("finetune_batch",),
}
SCORING: Final = frozenset({"score", "frozen"})
"""Stages that only score, each in an order of its own."""
LOOKING: Final = SCORING | {"test"}
"""The same, and the look at the test split that ends a run of a sweep: none of them has progress of its own."""


class Order(BaseModel):
    """One trial's work. Crosses processes as it is, or as `model_dump_json`; validated when it is made, and only then.

    Attributes:
        trial: the trial's name, unique in its sweep.
        data: what the workers open, with folders as they see them.
        storage: storage URI of the sweep.
        sweep: the sweep's name; the trial's files lie in `<storage>/sweeps/<sweep>/checkpoints/<trial>`. None: a stage
            run by itself, whose files lie in `<storage>/stages/<trial>`.
        settings: every training setting: what the workers run, and what the trial's row says.
        seed: fixes initial heads, data order and augmentations.
        stages: names from `bissl_ray.training.pipeline.STAGES`, run in this order.
        control: what BiSSL is compared with that this is a run of, a name of `controls.CONTROLS`; None: BiSSL, or
            neither.
        start: path under the storage of the model file that the trial starts from; where the first stage is
            "pretrain", which starts from fresh weights, of the file that it writes.
        fresh: whether it starts from fresh weights, drawn by its seed, and `start` is not read.
        with_upper_budget: whether fine-tuning is prolonged by as many labelled images as BiSSL's upper level sees, so
            that the control gets as many as BiSSL and its fine-tuning together.
        keep_models: whether fine-tuned models are written; those of the fine-tuning search are looked at by nobody.
        split: what the stages that only score look at.
        inherits: whether it takes over from another trial, whose weights and state lie in its folder.
        until: alternation after which it saves where it is and pauses; None: it goes on to its end.
        threads: of each worker, on the CPU; None: as many as it is given where it runs.
        spared_after: seconds that it had taken when it ran out of memory: what can be recomputed is, from then on, with
            the same results; None: it did not.
        pictures: how many images of the split the stage "score" draws with what the model makes of them.
        frozen: how stage "frozen" judges the backbone, of "knn" and "linear_probe".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial: str
    data: DataChoice
    storage: str
    sweep: str | None
    settings: Settings
    seed: int
    stages: tuple[str, ...]
    control: str | None = None
    start: str
    fresh: bool = False
    with_upper_budget: bool = False
    keep_models: bool = True
    split: Literal["validation", "test"] = "validation"
    frozen: tuple[str, ...] = ()
    pictures: int = 0
    inherits: bool = False
    until: int | None = None
    threads: int | None = None
    spared_after: float | None = None

    @property
    def identity(self) -> str:
        """What makes its run this one and no other, as digits: a checkpoint of another's is not gone on from."""
        own = {"settings", "seed", "control", "fresh", "with_upper_budget", "start"}
        # Without defaults: settings that a later release adds change nothing.
        whole = self.model_dump_json(include=own, exclude_defaults=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:32]

    @property
    def folder(self) -> str:
        """The trial's folder, relative to the storage."""
        return stage_folder(self.trial) if self.sweep is None else trial_folder(self.sweep, self.trial)


def of_method(stages: Iterable[str], settings: Settings) -> tuple[str, ...]:
    """Stages of BiSSL as the settings' method has them."""
    return tuple("joint" if stage == "bissl" and settings.method != "bissl" else stage for stage in stages)


def batches_of(stages: Iterable[str]) -> list[str]:
    """The settings that say how many images the workers share in a step, for all of some stages."""
    return list(dict.fromkeys(name for stage in stages for name in _BATCHES.get(stage, ())))
