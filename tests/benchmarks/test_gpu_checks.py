"""`tests/gpu_checks.sh` from end to end, on whatever machine this is: one JSON, with what failed in it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def carried_wheel(folder: Path) -> None:
    """A wheel whose import leaves a trace."""
    info = "carried-1.0.dist-info"
    folder.mkdir()
    with zipfile.ZipFile(folder / "carried-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("sitecustomize.py", "import os\nopen(os.environ['TRACE'], 'w').close()\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: carried\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def checks(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, **variables}
    command = ["bash", str(ROOT / "tests" / "gpu_checks.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_parts_end_up_in_one_file(tmp_path) -> None:
    carried_wheel(tmp_path / "wheels")
    given = {"OUT": str(tmp_path), "TRACE": str(tmp_path / "trace"), "PARTS": "train nonsense hypergradient"}
    done = checks("--small", str(tmp_path / "wheels"), **given)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "gpu_checks.json").read_text())
    assert found["torch"] and found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    train, nonsense, solves = found["parts"]
    assert (train["code"], solves["code"], nonsense["code"]) == (0, 0, None)
    assert len(train["result"]["rows"]) == 4 and "--small" not in train["command"] and train["seconds"] > 0
    assert nonsense["said"] == ["no such part"] and nonsense["result"] is None
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("argument", "expected"), [("--smal", "found --smal; expected --small"), ("/no/where", "found no folder /no/where")]
)
def test_arguments_that_are_none(argument, expected) -> None:
    done = checks(argument)
    assert done.returncode == 2 and expected in done.stderr
