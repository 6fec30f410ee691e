"""Documents: what is written is read back; what is wrong in one is a line that names it."""

import json
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.config import load_search_space
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import ComparisonDocument, Document, StageDocument, SweepDocument
from bissl_ray.config.requests import Comparison, StageRequest, SweepRequest
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.store.documents import (
    read_document,
    read_stage_document,
    read_sweep_document,
    sweep_names,
    write_document,
)


def sweep(name: str, **content: Any) -> SweepDocument:
    request = SweepRequest(name=name, data=DataChoice("digits"), space=load_search_space("digits"))
    return SweepDocument(request=request, **content)


def written(storage: Path, document: Document, **changes: Any) -> Path:
    """Write a document of the name "night", then change its text."""
    write_document(storage, "night", document)
    (path,) = (p for p in storage.rglob("*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


def test_round_trip_and_replacement(storage):
    write_document(storage, "night", sweep("night", read=("λ",)))
    again = sweep(
        "night", read=("λ", "µ"), fingerprint="f00d", data={"pretext": 3, "train": 3, "validation": 1, "test": 1}
    )
    write_document(storage, "night", again)
    write_document(storage, "day", sweep("day"))
    (storage / "sweeps" / "half").mkdir()
    assert read_sweep_document(storage, "night") == again
    assert sweep_names(storage) == ["day", "night"]
    assert [path.name for path in (storage / "sweeps" / "night").iterdir()] == ["sweep.json"]


def test_every_kind_comes_back_as_it_was(storage):
    stage = StageRequest(
        name="s", stage="pretrain", data=DataChoice("digits"), settings=Settings(), origins={"lower_lr": "b"}
    )
    for name, document in {
        "s": StageDocument(request=stage, status="complete", result={"objective": 0.5}),
        "c": ComparisonDocument(comparison=Comparison(name="c", cases=())),
    }.items():
        write_document(storage, name, document)
        assert read_document(storage, name, type(document)) == document
    assert read_document(storage, "other", ComparisonDocument) is None and read_stage_document(storage, "other") is None


def test_an_unknown_name_is_answered_with_the_nearest(storage):
    with pytest.raises(BadInputError, match="bissl-ray sweep"):
        read_sweep_document(storage, "night")
    write_document(storage, "night", sweep("night"))
    with pytest.raises(BadInputError, match="did you mean 'night'"):
        read_sweep_document(storage, "nihgt")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '"text"'])
def test_a_damaged_document_is_named(storage, text):
    write_document(storage, "night", sweep("night"))
    (storage / "sweeps" / "night" / "sweep.json").write_text(text)
    with pytest.raises(BadInputError, match=r"sweep\.json"):
        read_sweep_document(storage, "night")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fingerprint": 7}, "fingerprint: found 7, expected text"),
        ({"data": "many"}, "data: found 'many'"),
        ({"data": {"train": "many"}}, "data.train: found 'many'"),
        ({"data": {"classes": 3}}, "data: found nothing as the number of pretext images, expected 0 or more"),
        ({"data": {"pretext": 9, "train": 0}}, "data: found 0 as the number of train images, expected 1 or more"),
        ({"request": None}, "request: found nothing"),
        ({"request": {"name": "night"}}, "request.data: found nothing, expected it"),
        ({"start": "../../elsewhere.pt"}, "start: found '../../elsewhere.pt', expected a path below the storage"),
        ({"start": "/elsewhere.pt"}, "start: found '/elsewhere.pt', expected a path below the storage"),
        ({"version": 4}, "version: found version 4, and this release knows 3: use the one that wrote it"),
        ({"version": "new"}, "version: found 'new'"),
    ],
)
def test_a_wrong_type_inside_is_one_line(storage, changes, expected):
    path = written(storage, sweep("night"), **changes)
    with pytest.raises(BadInputError) as refused:
        read_sweep_document(storage, "night")
    assert str(path) in str(refused.value) and expected in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["../../elsewhere", "a/b", "", "a\x1b[31m"])
def test_a_name_that_leads_elsewhere_is_refused(storage, name):
    document = sweep("night")
    written(storage, document, request={**document.model_dump(mode="json")["request"], "name": name})
    with pytest.raises(BadInputError, match=r"sweep\.json: document's name .* can't be used"):
        read_sweep_document(storage, "night")


def test_what_another_release_asked_for_is_named(storage):
    document = sweep("night")
    request = {**document.model_dump(mode="json")["request"], "moons": 2}
    written(storage, document, request=request)
    with pytest.raises(BadInputError, match=r"request.moons: found a key that this release doesn't know"):
        read_sweep_document(storage, "night")
    written(storage, document, moons=2)
    assert read_sweep_document(storage, "night") == document, "beside the request, it is passed over"


def test_a_stage_of_version_1_that_is_none(storage):
    (storage / "stages" / "s").mkdir(parents=True)
    for content in ({"settings": {"lower_lr": 3}, "request": {}}, {"settings": [], "request": {}}, {}):
        (storage / "stages" / "s" / "stage.json").write_text(json.dumps(content))
        with pytest.raises(BadInputError, match=r"stage.json.*choose another --name"):
            read_stage_document(storage, "s")


def test_a_name_can_not_leave_the_storage(storage):
    with pytest.raises(BadInputError, match="sweep name"):
        write_document(storage, "../outside", sweep("outside"))
