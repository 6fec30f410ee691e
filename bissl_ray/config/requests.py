"""What was asked for: a sweep, or a comparison of several; the parts of their documents that going on reads back."""

from pydantic import BaseModel, ConfigDict, Field

from bissl_ray.config.search_space import SearchSpace


class SweepRequest(BaseModel):
    """Everything that decides what a sweep does, apart from the machines it runs on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="the sweep's name, unique in its storage")
    dataset: str = Field(description="name in the dataset registry")
    data_dir: str | None = Field(None, description="folder of the dataset, absolute; null for an embedded one")
    split_seed: int = Field(0, ge=0, description="fixes the train/validation split, where it is drawn")
    splits_dir: str | None = Field(None, description="folder of published index files, absolute; null: none are read")
    pretext_dataset: str | None = Field(None, description="whose images the pretext sees; null: the dataset's own")
    pretext_data_dir: str | None = Field(None, description="folder of the pretext's dataset; null: data_dir")
    pretrained: str | None = Field(None, description="checkpoint file that was given; null: pretrained here")
    pretrained_head: str | None = Field(None, description="file of its pretext head; null: in it, beside it, or none")
    allow_partial: bool = Field(False, description="whether the checkpoint may fill only a part of the backbone")
    workers_per_trial: int = Field(1, ge=1, description="worker processes that share one trial")
    space: SearchSpace = Field(description="the resolved search space with its protocol")


class Case(BaseModel):
    """One dataset from one pretrained checkpoint: a sweep whose control is plain fine-tuning."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str = Field(description="label of the pretrained checkpoint")
    request: SweepRequest = Field(description="the sweep; its pretrained is null where it pretrains by itself")

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.request.dataset

    @property
    def sweep(self) -> str:
        """Name of the sweep."""
        return self.request.name


class Comparison(BaseModel):
    """BiSSL against plain fine-tuning, in one or more cases."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="of the comparison; its sweeps are called <name>-<dataset>-<checkpoint>")
    cases: tuple[Case, ...] = Field(description="in the order in which they run and are shown")

    @property
    def of_several_datasets(self) -> bool:
        """Whether its cases are of more than one dataset."""
        return len({case.dataset for case in self.cases}) > 1
