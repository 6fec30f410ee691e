"""Downloads fetch and unpack what is published, from a server on this machine, and fail with one line."""

import functools
import hashlib
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from torchvision import datasets

from bissl_ray.data import get_dataset
from bissl_ray.data.files.downloads import archive
from tests.data.tiny import write_tiny

DOWNLOADED = {"aircrafts", "caltech101", "cub200", "dtd", "flowers", "food", "pets"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which its files can be fetched."""
    published = tmp_path / "published"
    published.mkdir()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(published)))
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield published, f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_which_datasets_can_be_fetched():
    names = ("aircrafts", "caltech101", "cars", "cub200", "dtd", "flowers", "food", "pets", "sun397")
    assert {name for name in names if get_dataset(name).download is not None} == DOWNLOADED


def test_an_archive_is_unpacked_into_the_data_folder(server, tmp_path):
    published, address = server
    write_tiny("cub200", tmp_path / "birds")
    packed = Path(shutil.make_archive(str(published / "CUB_200_2011"), "gztar", tmp_path / "birds"))
    archive(f"{address}/{packed.name}", md5(packed))(tmp_path / "new" / "data")
    assert len(get_dataset("cub200").open(tmp_path / "new" / "data").test) == 9


def test_torchvision_fetches_what_it_knows(server, tmp_path, monkeypatch):
    published, address = server
    write_tiny("dtd", tmp_path / "textures")
    packed = Path(shutil.make_archive(str(published / "dtd-r1.0.1"), "gztar", tmp_path / "textures" / "dtd"))
    monkeypatch.setattr(datasets.DTD, "_URL", f"{address}/{packed.name}")
    monkeypatch.setattr(datasets.DTD, "_MD5", md5(packed))
    get_dataset("dtd").download(tmp_path / "data")
    assert len(get_dataset("dtd").open(tmp_path / "data").test) == 9


def test_another_archive_than_the_published_one_is_refused(server, tmp_path):
    published, address = server
    (published / "birds.tgz").write_bytes(b"something else")
    with pytest.raises(OSError, match=r"the download into \S+ failed \(RuntimeError: .*\); remove what it left"):
        archive(f"{address}/birds.tgz", "0" * 32)(tmp_path / "data")


def test_half_an_archive_is_refused(server, tmp_path):
    published, address = server
    write_tiny("cub200", tmp_path / "birds")
    packed = Path(shutil.make_archive(str(published / "CUB_200_2011"), "gztar", tmp_path / "birds"))
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
    with pytest.raises(OSError, match=r"the download into \S+ failed .*; remove what it left"):
        archive(f"{address}/{packed.name}", md5(packed))(tmp_path / "data")


def test_no_answer_is_one_line(server, tmp_path):
    _, address = server
    with pytest.raises(OSError, match=r"the download into \S+ failed \(HTTPError: .*404") as caught:
        archive(f"{address}/nothing.tgz", "0" * 32)(tmp_path / "data")
    assert "\n" not in str(caught.value)
