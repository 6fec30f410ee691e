"""What tests of folders in COCO's form change and look at."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bissl_ray.data import get_dataset
from bissl_ray.data.spec import DatasetSplits
from tests.data.tiny.coco import write_json

COCO = get_dataset("coco")


ONE = "annotations.json"


TRAIN = "annotations/instances_train2017.json"


VAL = "annotations/instances_val2017.json"


Document = dict[str, Any]


def names(source: Any) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def sizes(splits: DatasetSplits) -> tuple[int, int, int]:
    return len(splits.train), len(splits.validation), len(splits.test)


def changed(path: Path, change: Callable[[Document], object]) -> Document:
    """Change an annotation file in place."""
    content: Document = json.loads(path.read_text())
    change(content)
    write_json(path, content)
    return content


def all_objects(splits: DatasetSplits) -> dict[str, Any]:
    return {
        objects.image_id: objects for part in (splits.train, splits.validation, splits.test) for objects in part.targets
    }


def set_first(rows: str, **values: object) -> Callable[[Document], object]:
    return lambda content: content[rows][0].update(values)


def drop(rows: str, key: str) -> Callable[[Document], object]:
    return lambda content: content[rows][0].pop(key)


def set_first_file(content: Document) -> None:
    content["images"][0]["file_name"] = "000001.jpg"
