"""Ray's words are kept in a file, which lies where its job does, and is not there where nothing was said."""

import logging
import tempfile
from pathlib import Path

import pytest

from bissl_ray.workers import ray_log


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_log_that_nothing_was_written_to_is_not_there(tmp_path: Path, temporary: Path) -> None:
    assert ray_log.where() is None and ray_log.pointer() == ""
    with ray_log.ray_log():
        assert list(temporary.iterdir())
        (tmp_path / "runs/sweeps/night").mkdir(parents=True)
        ray_log.lie_in(str(tmp_path / "runs"), "sweeps/night")
        assert ray_log.where() == "runs/sweeps/night/ray.log"
    assert list(temporary.iterdir()) == [] and list((tmp_path / "runs/sweeps/night").iterdir()) == []


def test_it_goes_to_its_job_with_what_was_said_before(tmp_path: Path, temporary: Path, capfd) -> None:
    import ray._private.worker as worker

    logger, printing = logging.getLogger("ray.tune.something"), worker.print_to_stdstream
    handlers = logging.getLogger("ray").handlers[:]
    for job in ("first", "second"):
        (tmp_path / f"runs/sweeps/{job}").mkdir(parents=True)
    with ray_log.ray_log():
        logger.error("before")
        ray_log.lie_in("s3://bucket/runs", "sweeps/first")  # not of this machine
        assert str(ray_log.where()).startswith("tmp/bissl-ray-")
        ray_log.lie_in(str(tmp_path / "runs"), "sweeps/first")
        assert list(temporary.iterdir()) == []
        # What ray.init does when it is to leave logging alone.
        logging.getLogger("ray").handlers.clear()
        ray_log.take_loggers()
        logger.warning("of the first")
        worker.print_to_stdstream({"lines": ["a worker died"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
        ray_log.write("Traceback\n  of something")
        logging.getLogger("ray.tune.tune").error("idle talk")
        ray_log.lie_in(str(tmp_path / "runs"), "sweeps/second")
        logger.error("of the second")
    first, second = ((tmp_path / f"runs/sweeps/{job}/ray.log").read_text() for job in ("first", "second"))
    for said in ("before", "of the first", "(raylet) a worker died", "Traceback\n  of something"):
        assert said in first
    assert "idle talk" not in first + second and "of the second" in second and "of the first" not in second
    assert worker.print_to_stdstream is printing and logging.getLogger("ray").handlers == handlers
    assert capfd.readouterr() == ("", "")
