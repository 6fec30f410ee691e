"""What is written down of a sweep, a stage run by itself, a comparison: one model each, with a version.

Version 1, which has no number in it, has requests that are flat; `config.requests` reads both. Up to version 2, images
were left as their files have them, whatever EXIF says (`of_any_release`).
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from bissl_ray.config.parameters import SettingValue
from bissl_ray.config.requests import Comparison, StageRequest, SweepRequest
from bissl_ray.config.settings import of_any_release

VERSION: Final = 3
_PARTS: Final = ("pretext", "train", "validation", "test")
StageStatus = Literal["running", "complete", "interrupted", "failed"]


class Document(BaseModel):
    """A document of a storage. What a later release of the same version adds is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    kind: ClassVar[str]
    """What a person calls it."""

    version: int = Field(VERSION, description="of the document's shape")
    created_at: str | None = Field(None, description="when it was first written, ISO 8601")
    git: str | None = Field(None, description="commit of the code that ran last; null: no checkout")
    versions: str = Field("{}", description="of the libraries that ran last, JSON")

    @classmethod
    def from_any_version(cls, content: Mapping[str, Any]) -> Self:
        """Read a document that this release or an earlier one wrote.

        Raises:
            pydantic.ValidationError: something in it is not what it should be, or it is of a later release.
            KeyError, TypeError, AttributeError: it is of version 1, and no such document.
        """
        version = content.get("version", 1)
        arranged = cls._arranged(dict(content))
        if version in (1, 2):
            with suppress(KeyError, TypeError, AttributeError):  # damaged: validation says where
                arranged = cls._as_it_ran(arranged)
            arranged["version"] = VERSION
        return cls.model_validate(arranged)

    @field_validator("version")
    @classmethod
    def _known(cls, version: int) -> int:
        if version != VERSION:
            raise ValueError(f"found version {version}, and this release knows {VERSION}: use the one that wrote it")
        return version

    @classmethod
    def _arranged(cls, content: dict[str, Any]) -> dict[str, Any]:
        """The content as the model's fields lie."""
        return content

    @classmethod
    def _as_it_ran(cls, content: dict[str, Any]) -> dict[str, Any]:
        """The content of an earlier release, arranged, with the settings that this one has besides."""
        return content

    @property
    def names(self) -> tuple[str, ...]:
        """Of what it is about, and what belongs to that: they stand in paths of the storage."""
        return ()

    def changed(self, **values: Any) -> Self:
        """The document with other values."""
        return self.model_copy(update=values)


class _OnData(Document):
    """A document of something that ran on data: what they were when it began."""

    least_labelled: ClassVar[int] = 0
    """Training images with labels that it takes."""

    fingerprint: str | None = Field(None, description="of the data and their splits; null: not looked at yet")
    labelled_fingerprint: str | None = Field(None, description="the same of the labelled images alone")
    validation_from: str | None = Field(None, description="where validation came from, in words")
    data: dict[str, int] = Field(default_factory=dict, description="images by split, and classes")
    command: str | None = Field(None, description="the command line that ran last")

    @field_validator("data")
    @classmethod
    def _counted(cls, data: dict[str, int]) -> dict[str, int]:
        for part in _PARTS if data else ():
            least = cls.least_labelled if part == "train" else 0
            if data.get(part, -1) < least:
                found = "nothing" if part not in data else str(data[part])
                raise ValueError(f"found {found} as the number of {part} images, expected {least} or more")
        return data


class Session(BaseModel):
    """A driver's session of a sweep, as it began."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    began_at: str = Field(description="when, ISO 8601, by its machine's clock")
    where: str = Field(description="the cluster, in words")
    groups: int = Field(description="worker groups that there was room for")
    gpus: float = Field(0.0, description="GPUs that they took, in all")
    budget_seconds: float | None = Field(None, description="limit on exploring; null: there was none")
    budget_of: Literal["wall", "gpu"] = Field("wall", description="what of")


class SweepDocument(_OnData):
    """sweep.json: what a sweep was asked for, with what, on which data."""

    kind = "sweep"
    least_labelled = 1

    request: SweepRequest = Field(description="what was asked for")
    pretrain: bool = Field(False, description="whether to pretrain on the dataset's own images was asked for")
    read: tuple[str, ...] = Field((), description="lines on its checkpoint: what matched, what it may have seen")
    start: str | None = Field(None, description="the pretrained models' file, relative to the storage")
    session: Session | None = Field(None, description="the last session; null: of an earlier release")

    @property
    def names(self) -> tuple[str, ...]:
        """That of the sweep."""
        return (self.request.name,)

    @field_validator("start")
    @classmethod
    def _inside(cls, start: str | None) -> str | None:
        if start is not None and (start.startswith("/") or ".." in start.split("/")):
            raise ValueError(f"found {start!r}, expected a path below the storage")
        return start

    @classmethod
    def _as_it_ran(cls, content: dict[str, Any]) -> dict[str, Any]:
        return {**content, "request": _space_as_it_ran(content["request"])}


class StageDocument(_OnData):
    """stage.json: what a stage was asked for, with what, on which data, and what came of it."""

    kind = "stage run"

    request: StageRequest = Field(description="what was asked for, every setting with where it came from")
    status: StageStatus = Field("running", description="how it stands")
    status_at: str | None = Field(None, description="since when, ISO 8601")
    reason: str | None = Field(None, description="why it failed")
    stages: tuple[str, ...] = Field((), description="stages of the pipeline that it runs")
    workers: int | None = Field(None, description="that ran last")
    where: str | None = Field(None, description="where it ran last, in words")
    test_split_looked_at: bool = Field(False, description="whether the test split has been scored")
    result: dict[str, Any] = Field(default_factory=dict, description="what it came to; empty unless complete")

    @property
    def names(self) -> tuple[str, ...]:
        """That of the run."""
        return (self.request.name,)

    @model_serializer(mode="wrap")
    def _settings_with_origins(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content = written(self)
        for name in ("settings", "origins"):
            del content["request"][name]
        return {**content, "settings": self.settings_with_origins()}

    def settings_with_origins(self) -> dict[str, dict[str, SettingValue]]:
        """Each setting beside where it came from, as a person reads it in the file."""
        request = self.request
        return {
            name: {"value": value, "from": request.origins.get(name, "default")} for name, value in request.settings
        }

    @classmethod
    def _arranged(cls, content: dict[str, Any]) -> dict[str, Any]:
        settings = content.pop("settings", {})
        values = {name: setting["value"] for name, setting in settings.items()}
        origins = {name: setting["from"] for name, setting in settings.items() if setting["from"] != "default"}
        return {**content, "request": {**content["request"], "settings": values, "origins": origins}}

    @classmethod
    def _as_it_ran(cls, content: dict[str, Any]) -> dict[str, Any]:
        request = content["request"]
        return {**content, "request": {**request, "settings": of_any_release(request["settings"])}}


def _space_as_it_ran(request: dict[str, Any]) -> dict[str, Any]:
    space = request["space"]
    return {**request, "space": {**space, "fixed": of_any_release(space.get("fixed", {}))}}


class ComparisonDocument(Document):
    """A comparison's JSON: which sweeps belong to it."""

    kind = "comparison"

    comparison: Comparison = Field(description="what was asked for")

    @property
    def names(self) -> tuple[str, ...]:
        """That of the comparison, and its sweeps'."""
        return (self.comparison.name, *(case.request.name for case in self.comparison.cases))

    @classmethod
    def _as_it_ran(cls, content: dict[str, Any]) -> dict[str, Any]:
        asked = content["comparison"]
        cases = [{**case, "request": _space_as_it_ran(case["request"])} for case in asked["cases"]]
        return {**content, "comparison": {**asked, "cases": cases}}
