"""Documents that hold what they should not: one line that names the file, never a traceback."""

from pathlib import Path

import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.store.documents import read_stage_document, read_sweep_document

CONTENTS = {
    "list": "[]",
    "number": "5",
    "null": "null",
    "nothing": "",
    "no utf-8": "\xff",
    "half": "{",
    "version only": '{"version": 3}',
    "version a word": '{"version": "x"}',
    "version a list": '{"version": []}',
    "version endless": '{"version": 1e400}',
    "request a number": '{"version": 3, "request": 5}',
    "request of lists": '{"version": 3, "request": {"name": [], "data": [], "space": []}}',
    "old request": '{"version": 1, "request": {"dataset": []}}',
    "old space": '{"version": 2, "request": {"space": {"fixed": 7}}}',
    "nested without end": "[" * 5000,
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
@pytest.mark.parametrize("file", ["sweeps/night/sweep.json", "stages/night/stage.json"])
def test_a_damaged_document_is_one_line(tmp_path: Path, file: str, content: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode("latin1"))
    read = read_sweep_document if "sweep.json" in file else read_stage_document
    with pytest.raises(BadInputError) as refused:
        read(str(tmp_path), "night")
    line = str(refused.value)
    assert "\n" not in line and path.name in line and len(line) < 600
