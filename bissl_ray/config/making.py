"""What a checkpoint of ours says of how it was made: nobody but its reader has checked it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bissl_ray.config.refusal import wrong_in
from bissl_ray.errors import BadInputError

_LONGEST: Final = 10_000
_Text = Annotated[str, Field(max_length=_LONGEST)]
_Count = Annotated[int, Field(ge=1, lt=2**63)]


class _Making(BaseModel):
    """Values that are read again somewhere; releases have written others besides."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: _Text | None = None
    backbone: _Text | None = None
    dataset: _Text | None = None
    sweep: _Text | None = None
    trial: _Text | None = None
    seed: int | None = None
    settings: dict[_Text, bool | int | float | _Text | None] | None = None
    pretext_dataset: _Text | None = None
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    splits_dir: _Text | None = None
    labels_per_class: _Count | None = None
    unlabelled_images: _Count | None = None
    label_draw: _Count | None = None
    fingerprint: _Text | None = None
    labelled_fingerprint: _Text | None = None
    split_fingerprint: _Text | None = None
    class_names: list[_Text] | None = None
    statistics: _Text | None = None
    objective: float | None = None
    objective_name: _Text | None = None
    git: _Text | None = None
    versions: _Text | None = None


def checked_making(metadata: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """The metadata of a checkpoint of ours, of the types that their readers expect.

    Args:
        metadata: as the file has them.
        source: the file, for the error line.

    Raises:
        BadInputError: one of them is of another type.
    """
    unnamed = next((name for name in metadata if not isinstance(name, str)), None)
    if unnamed is not None:
        raise BadInputError(f"{source}: metadata: found the key {unnamed!r}, expected a name; fetch or write it again")
    try:
        _Making.model_validate(metadata)
    except ValidationError as error:
        raise BadInputError(f"{source}: metadata.{wrong_in(error)}; fetch or write it again") from None
    return dict(metadata)


def says_how(made: Mapping[str, Any]) -> bool:
    """Whether a checkpoint says with what settings it was made, on which dataset: those of ours do."""
    return made.get("settings") is not None and made.get("dataset") is not None
