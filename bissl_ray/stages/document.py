"""stage.json: what a stage was asked for, with what, on which data, and what came of it."""

import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ValidationError

from bissl_ray.errors import BadInputError
from bissl_ray.preflight.data import DataFacts
from bissl_ray.stages.request import StageRequest
from bissl_ray.store import read_stage_document, write_stage_document
from bissl_ray.store.provenance import git_state, versions

Status = Literal["running", "complete", "interrupted", "failed"]


class StageDocument:
    """The document of one run, written again whole whenever its status changes."""

    def __init__(self, storage: str, request: StageRequest, content: Mapping[str, Any] | None = None):
        """Take up a run.

        Args:
            storage: absolute.
            request: what is asked for now.
            content: of an earlier attempt; None: there was none.
        """
        self._storage = storage
        self._name = request.name
        self.content: dict[str, Any] = {
            "created_at": datetime.now(UTC).isoformat(),
            **(content or {}),
            "request": request.model_dump(mode="json", exclude={"settings", "origins"}),
            "settings": {
                name: {"value": value, "from": request.origins.get(name, "default")}
                for name, value in request.settings.items()
            },
            "git": git_state(),
            "versions": versions(),
            "command": shlex.join(["bissl-ray", *sys.argv[1:]]),
        }

    @property
    def complete(self) -> bool:
        """Whether the stage has run to its end."""
        return bool(self.content.get("status") == "complete")

    def check_data(self, facts: DataFacts) -> None:
        """Write the data down, at first; later make sure that they are the same.

        Raises:
            BadInputError: the data or their split have changed.
        """
        known = self.content.setdefault("fingerprint", facts.fingerprint)
        self.content["labelled_fingerprint"] = facts.labelled_fingerprint
        self.content["validation_from"] = facts.validation_from
        self.content["data"] = facts.sizes | {"classes": facts.classes}
        if known != facts.fingerprint:
            raise BadInputError(
                f"the data of {self._name} have changed: fingerprint {facts.fingerprint[:12]}, and {known[:12]} when "
                "it began; put the old data back, or choose another --name"
            )

    def write(self, status: Status, **facts: Any) -> None:
        """Write it, with the status and further facts; the reason of an earlier failure goes."""
        self.content |= {"status": status, "status_at": datetime.now(UTC).isoformat(), "reason": None, **facts}
        write_stage_document(self._storage, self._name, self.content)


def open_document(storage: str, request: StageRequest) -> StageDocument:
    """The document of a run that is begun, gone on with, or finished already.

    Raises:
        BadInputError: the name is taken, by another stage or by a run that was asked for something else; or its
            document can't be read.
    """
    content = read_stage_document(storage, request.name)
    if content is None:
        return StageDocument(storage, request)
    settings = content.get("settings", {})
    try:
        begun = StageRequest.model_validate(
            {**content["request"], "settings": {name: setting["value"] for name, setting in settings.items()}}
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise BadInputError(
            f"{storage}/stages/{request.name}/stage.json is not one that this release wrote "
            f"({' '.join(str(error).split())[:120]}): choose another --name"
        ) from error
    difference = request.difference(begun)
    if difference is not None:
        raise BadInputError(
            f"{request.name} is the name of another run in {storage}, which was begun with other flags: here "
            f"{difference}; give the same flags to go on with it, or choose another --name"
        )
    return StageDocument(storage, request, content)
