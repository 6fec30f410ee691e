"""What one stage was asked for: the part of stage.json that running it again is compared with."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from bissl_ray.config.refusal import shown
from bissl_ray.config.settings import Settings
from bissl_ray.data import DataChoice

StageName = Literal["pretrain", "train", "finetune", "evaluate"]
Way = Literal["score", "knn", "linear_probe"]

MODEL_FILES: Final[Mapping[StageName, str]] = {
    "pretrain": "pretrained.pt",
    "train": "aligned.pt",
    "finetune": "finetuned.pt",
}
"""What each stage writes into its folder."""

_MAY_CHANGE = frozenset({"data_dir", "pretext_data_dir", "splits_dir", "settings", "origins"})


class StageRequest(BaseModel):
    """Everything that decides what a stage does, apart from the machine it runs on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="the run's name, unique among the stages in its storage")
    stage: StageName = Field(description="the verb")
    dataset: str = Field(description="name in the dataset registry")
    data_dir: str | None = Field(None, description="folder of the dataset, absolute; null for an embedded one")
    split_seed: int = Field(0, ge=0, description="fixes the train/validation split, where it is drawn")
    splits_dir: str | None = Field(None, description="folder of published index files, absolute; null: none are read")
    pretext_dataset: str | None = Field(None, description="whose images the pretext sees; null: the dataset's own")
    pretext_data_dir: str | None = Field(None, description="folder of the pretext's dataset; null: data_dir")
    settings: dict[str, Any] = Field(description="every setting")
    origins: dict[str, str] = Field(default_factory=dict, description="where settings that are no defaults came from")
    seed: int = Field(0, ge=0, description="fixes heads, the order of the data and augmentations")
    workers: int = Field(1, ge=1, description="worker processes that share the stage")
    start: str | None = Field(None, description="checkpoint that it starts from, absolute; null: fresh weights")
    start_head: str | None = Field(None, description="file of its pretext head; null: in it, beside it, or none")
    allow_partial: bool = Field(False, description="whether the checkpoint may fill only a part of the backbone")
    control_budget: bool = Field(False, description="whether fine-tuning gets BiSSL's labelled images on top")
    split: Literal["validation", "test"] = Field("validation", description="what is evaluated on")
    ways: tuple[Way, ...] = Field((), description="how it is evaluated")

    @property
    def data(self) -> DataChoice:
        """The data asked for."""
        return DataChoice.of(self)

    @property
    def validated_settings(self) -> Settings:
        """The settings as their model."""
        return Settings.model_validate(self.settings)

    def difference(self, begun: "StageRequest") -> str | None:
        """The first thing that differs from what a run was begun with, in words; None where it is the same run.

        Where the data lie is not compared: their fingerprint says whether they are the same.
        """
        for name in sorted(type(self).model_fields.keys() - _MAY_CHANGE):
            now, then = getattr(self, name), getattr(begun, name)
            if now != then:
                return f"{name} {_words(now)} instead of {_words(then)}"
        for name in self.settings | begun.settings:
            now, then = self.settings.get(name), begun.settings.get(name)
            if now != then:
                return f"{name} {_words(now)} instead of {_words(then)}"
        return None


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else shown(value)
