"""Outlines are taken out of annotations, and nothing else is."""

import json

import pytest

from bissl_ray.data.files.coco_outlines import without_outlines

LIST = [[1.5, 2, -3e2, 4.25], [5, 6]]


@pytest.mark.parametrize(
    ("value", "cut"),
    [
        (LIST, True),
        ([], True),
        ([1, 2], True),
        ({"counts": [1, 2], "size": [3, 4]}, False),
        ({"counts": "ab}c", "size": [3, 4]}, False),
        ([[1, 2], [None]], False),
        ([["1"]], False),
        (None, False),
        (3, False),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("last", [True, False])
def test_lists_of_numbers_are_cut(value: object, cut: bool, indent: int | None, last: bool) -> None:
    row = {"id": 1, "segmentation": value} if last else {"segmentation": value, "bbox": [1, 2, 3, 4]}
    document = {"a": [row, row], "segmentation": "x", "n": 'a "segmentation": [1]'}
    content = json.dumps(document, indent=indent).encode()
    kept = row | {"segmentation": 0} if cut else row
    assert json.loads(without_outlines(content)) == document | {"a": [kept, kept]}


@pytest.mark.parametrize("text", ["", "{", '{"segmentation"', '{"segmentation": [1, 2', '{"segmentation": ]'])
def test_what_is_cut_off_stays_damaged(text: str) -> None:
    with pytest.raises(ValueError):
        json.loads(without_outlines(text.encode()))
