"""A folder in COCO's form."""

from pathlib import Path

import pytest

from tests.data.tiny.coco import write_tiny_coco


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """Ten images in one file."""
    return write_tiny_coco(tmp_path, {"all": 10}, "one file")
