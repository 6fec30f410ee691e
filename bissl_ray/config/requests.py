"""What was asked for: a sweep, a stage run by itself, a comparison; the parts of their documents that are read back."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bissl_ray.config.controls import ControlName
from bissl_ray.config.data_choice import FOLDERS, DataChoice
from bissl_ray.config.parameters import Point
from bissl_ray.config.refusal import shown
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.config.settings import Settings
from bissl_ray.controls import PLAIN

StageName = Literal["pretrain", "train", "finetune", "evaluate"]
Way = Literal["score", "knn", "linear_probe"]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CheckpointChoice(_Asked):
    """A checkpoint that a person named, and how it is read."""

    file: str = Field(description="path, absolute, URI or timm/NAME.TAG, as it may be printed")
    head: str | None = Field(None, description="file of its pretext head; null: in it, beside it, or none")
    allow_partial: bool = Field(False, description="whether it may fill only a part of the backbone")


class WarmTrial(_Asked):
    """An explore trial of an earlier sweep."""

    point: Point = Field(description="what the new sweep searches, as this trial had it")
    objective: float = Field(description="its last")
    alternation: int = Field(ge=0, lt=2**53, description="after which it had that")
    complete: bool = Field(description="whether it ran to its end")


class WarmSource(_Asked):
    """An earlier sweep that a new one starts from."""

    sweep: str = Field(description="its name")
    dataset: str = Field(description="that it was on")
    best: Point = Field(description="what it confirmed as its best, else what it explored as such")
    trials: tuple[WarmTrial, ...] = Field((), description="what it has explored")


class _OnData(_Asked):
    """What is asked of some data.

    Earlier releases wrote the fields of the data and of the checkpoint flat, among the others.
    """

    data: DataChoice = Field(description="which data, where they lie and how they are split")

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.data.dataset

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "dataset" not in content:
            return content
        rest = dict(content)
        rest["data"] = {name: rest.pop(name) for name in DataChoice.__dataclass_fields__ if name in rest}
        for name, head in (("pretrained", "pretrained_head"), ("start", "start_head")):
            if name in rest:
                how = {"head": rest.pop(head, None), "allow_partial": rest.pop("allow_partial", False)}
                rest[name] = None if rest[name] is None else {"file": rest[name], **how}
        return rest


class SweepRequest(_OnData):
    """Everything that decides what a sweep does, apart from the machines it runs on."""

    name: str = Field(description="the sweep's name, unique in its storage")
    pretrained: CheckpointChoice | None = Field(None, description="what all trials start from; null: pretrained here")
    workers_per_trial: int = Field(1, ge=1, le=1_000_000, description="worker processes that share one trial")
    gpus_per_worker: float | None = Field(
        None, gt=0, le=1, description="part of a GPU for each; null: a whole one where there are any"
    )
    resources: dict[str, float] = Field(
        default_factory=dict, description="what else each worker takes of the cluster's, by Ray's names"
    )
    control: ControlName | None = Field(
        None,
        description="the control that this sweep runs alone, for a comparison; null: BiSSL and plain fine-tuning",
    )
    space: SearchSpace = Field(description="the resolved search space with its protocol")
    warm: tuple[WarmSource, ...] = Field((), description="earlier sweeps whose trials it starts from")


class StageRequest(_OnData):
    """Everything that decides what a stage run by itself does, apart from the machine it runs on."""

    name: str = Field(description="the run's name, unique among the stages in its storage")
    stage: StageName = Field(description="the verb")
    settings: Settings = Field(description="every setting")
    origins: dict[str, str] = Field(default_factory=dict, description="where settings that are no defaults came from")
    seed: int = Field(0, ge=0, lt=2**32, description="fixes heads, the order of the data and augmentations")
    workers: int = Field(1, ge=1, le=1_000_000, description="worker processes that share the stage")
    start: CheckpointChoice | None = Field(None, description="checkpoint that it starts from; null: fresh weights")
    again: str | None = Field(None, description="SWEEP/TRIAL that is run again, from where that started; null: none")
    control_budget: bool = Field(False, description="whether fine-tuning gets BiSSL's labelled images on top")
    split: Literal["validation", "test"] = Field("validation", description="what is evaluated on")
    ways: tuple[Way, ...] = Field((), description="how it is evaluated")
    pictures: int = Field(
        0, ge=0, le=1_000_000, description="images of the split that are drawn with what the model makes of them"
    )

    def difference(self, begun: "StageRequest") -> str | None:
        """The first thing that differs from what a run was begun with, in words; None where it is the same run.

        Where the data lie is not compared: their fingerprint says whether they are the same.
        """
        now, then = self._compared(), begun._compared()
        for name in now:
            if now[name] != then[name]:
                return f"{name} {_words(now[name])} instead of {_words(then[name])}"
        return None

    def _compared(self) -> dict[str, object]:
        asked = {name: getattr(self, name) for name in type(self).model_fields.keys() - {"data", "settings", "origins"}}
        start = asked.pop("start")
        read = {"start": None, "start_head": None, "allow_partial": False}
        if start is not None:
            read = {"start": start.file, "start_head": start.head, "allow_partial": start.allow_partial}
        data = {name: getattr(self.data, name) for name in DataChoice.__dataclass_fields__ if name not in FOLDERS}
        return {**dict(sorted({**asked, **read, **data}.items())), **dict(self.settings)}


class Case(_Asked):
    """One dataset from one pretrained checkpoint: a sweep whose control is plain fine-tuning, or of another control."""

    checkpoint: str = Field(description="label of the pretrained checkpoint")
    request: SweepRequest = Field(description="the sweep; its pretrained is null where it pretrains by itself")

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.request.dataset

    @property
    def control(self) -> str:
        """What the case compares BiSSL with."""
        return self.request.control or PLAIN

    @property
    def sweep(self) -> str:
        """Name of the sweep."""
        return self.request.name


class Comparison(_Asked):
    """BiSSL against plain fine-tuning, in one or more cases."""

    name: str = Field(description="of the comparison; its sweeps are called <name>-<dataset>-<checkpoint>")
    cases: tuple[Case, ...] = Field(description="in the order in which they run and are shown")

    @property
    def of_several_datasets(self) -> bool:
        """Whether its cases are of more than one dataset."""
        return len({case.dataset for case in self.cases}) > 1


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else shown(value)
