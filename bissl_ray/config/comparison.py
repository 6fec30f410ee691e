"""What a comparison was asked for: the part of its document that going on with it reads back."""

from pydantic import BaseModel, ConfigDict, Field

from bissl_ray.config.request import SweepRequest


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
