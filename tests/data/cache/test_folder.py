"""The cache's folder: shared by processes, bounded, and never a reason to fail."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from bissl_ray.data import DataChoice, get_dataset
from bissl_ray.data.cache.images import cached_splits
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.data import inspect_data
from bissl_ray.progress import Decoding, Note
from tests.data.cache.test_images import CARS, GIB, cache, folder, held, made, pixels, same
from tests.data.tiny.cars import write_tiny_cars

pytestmark = pytest.mark.slow

__all__ = ["cache", "folder"]

FILL = """
import sys
from pathlib import Path
from bissl_ray.data.cache import write as cache_write
from bissl_ray.data import get_dataset
from bissl_ray.data.cache.images import cached_splits
write = cache_write.os.pwrite
def told(*arguments):
    cache_write.os.write(1, b"writes\\n")
    return write(*arguments)
cache_write.os.pwrite = told
splits = cached_splits(get_dataset("cars").open(Path(sys.argv[1])), 1.0)
print(splits.train.images.decoded.build.hex())
"""


def filling(folder: Path, cache: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "BISSL_RAY_CACHE": str(cache.parent), "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [sys.executable, "-c", FILL, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_of_several_processes_one_fills_it(folder: Path, cache: Path) -> None:
    processes = [filling(folder, cache) for _ in range(3)]
    said = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len({lines[-1] for lines in said}) == 1
    assert sum("writes" in lines for lines in said) == 1
    assert len(made(cache)) == 1


def test_a_killed_process_leaves_nothing_that_counts(tmp_path: Path, cache: Path) -> None:
    root = write_tiny_cars(tmp_path / "data", train_per_class=100, size=(320, 200))
    process = filling(root, cache)
    assert process.stdout is not None and process.stdout.readline() == "writes\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(cache.glob("*.part")) and not made(cache)
    cached = cached_splits(CARS.open(root), 1.0)
    assert held(cached.validation) == len(cached.validation)
    assert same(pixels(cached.validation), pixels(CARS.open(root).validation))
    assert not list(cache.glob("*.part"))


SLOW = """
import sys, time
from pathlib import Path
from bissl_ray.data.cache import write as cache_write
from bissl_ray.data import get_dataset
from bissl_ray.data.cache.images import cached_splits
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.progress import Note
decode = ImageFiles.__getitem__
def slowly(self, index):
    time.sleep(0.05)
    return decode(self, index)
ImageFiles.__getitem__ = slowly
def told(event):
    print(*(("note", event.line) if isinstance(event, Note) else ("decoded", event.done, event.total)), flush=True)
cached_splits(get_dataset("cars").open(Path(sys.argv[1])), float(sys.argv[2]), told)
"""


class Told(list[tuple[object, ...]]):
    def __call__(self, event: Decoding | Note) -> None:
        self.append((event.line,) if isinstance(event, Note) else (event.done, event.total))


def slowly_filling(script: Path, folder: Path, cache: Path, limit: float) -> "subprocess.Popen[str]":
    script.write_text(SLOW)
    environment = {**os.environ, "BISSL_RAY_CACHE": str(cache.parent), "PYTHONPATH": str(Path(__file__).parents[3])}
    arguments = [sys.executable, str(script), str(folder), str(limit)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None and process.stdout.readline().startswith("decoded 0 ")
    return process


def test_while_one_is_filled_another_is_and_has_only_the_room_that_is_left(tmp_path: Path, cache: Path) -> None:
    slow, other = (write_tiny_cars(tmp_path / name, train_per_class=40) for name in "ab")
    filling_slowly = slowly_filling(tmp_path / "slow.py", slow, cache, 1.0)
    (part,) = cache.glob("*.part")
    limit = part.stat().st_size + 60_000
    told = Told()
    cached = cached_splits(CARS.open(other), limit * GIB, told)
    # The other process is still at work: it holds its file, and this one kept to what is left of the room.
    assert filling_slowly.poll() is None and part.exists()
    assert 0 < held(cached.pretext) < len(cached.pretext)
    assert any("has room for" in str(line[0]) for line in told)
    assert filling_slowly.wait(60) == 0 and len(made(cache)) == 2 and not list(cache.glob("*.part"))


def test_who_waits_says_so_once_and_how_far_the_other_is(tmp_path: Path, cache: Path) -> None:
    root = write_tiny_cars(tmp_path / "data", train_per_class=40)
    process = slowly_filling(tmp_path / "slow.py", root, cache, 1.0)
    told = Told()
    cached = cached_splits(CARS.open(root), 1.0, told)
    assert process.wait(60) == 0
    waited = ("waiting for another process that fills the cache of decoded images",)
    assert told[0] == waited and told.count(waited) == 1
    total = len(cached.pretext) + len(cached.validation)
    assert len(told) > 1 and {line[1] for line in told[1:]} == {total}
    assert [line[0] for line in told[1:]] == sorted(line[0] for line in told[1:])
    assert held(cached.pretext) == len(cached.pretext)


def test_news_may_end_the_filling_and_leave_nothing(folder: Path, cache: Path) -> None:
    def stops(event: Decoding | Note) -> None:
        if isinstance(event, Decoding) and event.done:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cached_splits(CARS.open(folder), 1.0, stops)
    assert not made(cache) and not list(cache.glob("*.part"))
    assert held(cached_splits(CARS.open(folder), 1.0).train) == 19


def test_half_of_what_is_free_beyond_a_twentieth_is_taken(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for total in (40 * 2**30, 800 * 2**30):
        disk = SimpleNamespace(total=total, free=total // 20 + 200_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda path, disk=disk: disk)
        told = Told()
        cached = cached_splits(CARS.open(folder), 1.0, told)
        assert 0 < held(cached.pretext) < 19 and "has room for" in told[0][0]
        assert sum(path.stat().st_size for path in made(cache)) <= 100_000
        for path in made(cache):
            path.unlink()


def test_a_damaged_cache_is_made_afresh(folder: Path, cache: Path) -> None:
    cached_splits(CARS.open(folder), 1.0)
    (path,) = made(cache)
    for content in (path.read_bytes()[:-1], b"", path.read_bytes()[:30]):
        path.write_bytes(content)
        cached = cached_splits(CARS.open(folder), 1.0)
        assert held(cached.train) == len(cached.train)
        assert same(pixels(cached.train), pixels(CARS.open(folder).train))


FULL = """
import resource, sys
from pathlib import Path
from bissl_ray.data import get_dataset
from bissl_ray.data.cache.images import cached_splits
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
for _ in range(2):
    splits = cached_splits(get_dataset("cars").open(Path(sys.argv[1])), 1.0)
print(type(splits.train.images).__name__)
"""


def test_a_full_disk_costs_the_cache_and_one_line(tmp_path: Path, folder: Path, cache: Path) -> None:
    # A limit on the size of files is what a process may set itself; the system refuses to write as on a full disk.
    (tmp_path / "full.py").write_text(FULL)
    environment = {**os.environ, "BISSL_RAY_CACHE": str(cache.parent), "PYTHONPATH": str(Path(__file__).parents[3])}
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "full.py"), str(folder)], env=environment, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (0, "ImageFiles\n")
    (line,) = ended.stderr.splitlines()
    assert "every image is decoded each time it is used" in line and "File too large" in line
    assert not made(cache) and not list(cache.glob("*.part"))


def test_a_folder_that_can_not_be_written_to_costs_the_cache(folder: Path, monkeypatch, capfd) -> None:
    monkeypatch.setenv("BISSL_RAY_CACHE", "/proc/no-such-place")
    splits = CARS.open(folder)
    assert cached_splits(splits, 1.0) == splits
    assert "every image is decoded each time" in capfd.readouterr().err


def test_a_filled_folder_serves_who_may_only_read(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached_splits(CARS.open(folder), 1.0)

    def refused(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    # The tests may run as root, whom no permission stops.
    monkeypatch.setattr(Path, "mkdir", refused)
    monkeypatch.setattr(os, "utime", refused)
    cached = cached_splits(CARS.open(folder), 1.0)
    assert held(cached.train) == len(cached.train)


def test_what_was_used_least_recently_goes_unless_it_is_in_use(tmp_path: Path, cache: Path) -> None:
    roots = [write_tiny_cars(tmp_path / name) for name in "abc"]
    limit = 350_000 * GIB  # each takes 140 kB
    first, second = (cached_splits(CARS.open(root), limit) for root in roots[:2])
    paths = [splits.train.images.decoded.path for splits in (first, second)]
    for path, used in zip(paths, (2000, 1000), strict=True):
        os.utime(path, (used, used))
    # Both are in use: the third has room for a few images only.
    assert 0 < held(cached_splits(CARS.open(roots[2]), limit).train) < 19
    assert all(path.exists() for path in paths)
    # Nobody uses them any more: the one that was used longer ago goes.
    del first, second
    third = cached_splits(CARS.open(roots[2]), limit)
    assert held(third.train) == 19
    assert [path.exists() for path in paths] == [True, False]
    assert sum(path.stat().st_size for path in made(cache)) <= 350_000


def test_a_cache_in_use_survives_its_removal(folder: Path, cache: Path) -> None:
    cached = cached_splits(CARS.open(folder), 1.0)
    shutil.rmtree(cache)
    assert held(cached.train) == 19 and same(pixels(cached.train), pixels(CARS.open(folder).train))


def test_no_room_at_all_is_no_error(folder: Path, cache: Path, capfd) -> None:
    splits = CARS.open(folder)
    assert cached_splits(splits, 100 * GIB) == splits
    assert not made(cache) and "room for 0 of 24" in capfd.readouterr().err


@pytest.mark.parametrize(("place", "told"), [("relative/path", "expected an absolute path"), ("{file}", "is a file")])
def test_a_place_that_is_no_folder_is_refused(tmp_path: Path, folder: Path, monkeypatch, place: str, told: str) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BISSL_RAY_CACHE", place.format(file=tmp_path / "file"))
    with pytest.raises(BadInputError, match=told):
        cached_splits(CARS.open(folder), 1.0)
    with pytest.raises(BadInputError, match=told):
        inspect_data(DataChoice("cars", data_dir=str(folder)))
    assert inspect_data(DataChoice("digits")).classes == 10
    digits = get_dataset("digits").open(None)
    assert cached_splits(digits, 1.0) == digits


def test_without_a_variable_it_is_the_users_cache(tmp_path: Path, folder: Path, monkeypatch) -> None:
    monkeypatch.delenv("BISSL_RAY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    begin = time.time()
    path = cached_splits(CARS.open(folder), None).train.images.decoded.path
    assert path.parent == tmp_path / "home" / "bissl-ray" / "decoded" and path.stat().st_mtime >= begin - 1


@pytest.mark.parametrize("number", ["ENOLCK", "EOPNOTSUPP", "ESTALE", "ENOSYS"])
@pytest.mark.parametrize("filled", [False, True])
def test_a_disk_without_locks_is_no_cache_and_no_failure(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, number: str, filled: bool
) -> None:
    splits = get_dataset("cars").open(folder)
    if filled:
        cached_splits(splits, GIB)
    code = getattr(errno, number)

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    told: list[Decoding | Note] = []
    source = cached_splits(splits, GIB, told.append).train.images
    (note,) = told
    assert isinstance(note, Note) and "there is no cache of decoded images" in note.line
    assert os.strerror(code) in note.line
    assert same(pixels(source), pixels(splits.train.images))
