"""Files from the web come whole or not at all, are fetched once, and what goes wrong is said in one line."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest
import torch
from safetensors.torch import save

from bissl_ray.errors import BadInputError
from bissl_ray.preflight.sources.address import named, parsed
from tests.cli.command import one_line
from tests.preflight.sources.getting import get
from tests.preflight.sources.loopback import DATA, Answer, one_after_another, served

HASH = hashlib.sha256(DATA).hexdigest()
WEIGHTS = save({"weight": torch.zeros(100)})
PAGE = b"\n<!DOCTYPE html><html><body>Sign in</body></html>"
BROKEN = Answer(DATA, breaks=1_000_000)


def refusal(address: str) -> str:
    with pytest.raises(BadInputError) as error:
        get(address)
    return one_line(str(error.value))


def left(cache: Path) -> list[str]:
    """Names of the files in the cache, but locks."""
    return sorted(file.name for file in cache.rglob("*") if file.is_file() and file.name != ".lock")


def test_a_file_is_fetched_once_and_keeps_its_suffix(cache, capsys):
    with served(Answer(WEIGHTS)) as server:
        files = {get(f"{server.address}/a%20b/model.safetensors") for _ in range(3)}
    (file,) = files
    assert file.read_bytes() == WEIGHTS and file.suffix == ".safetensors" and len(server.asked) == 1
    assert left(cache) == ["model.safetensors"]
    said = capsys.readouterr().err
    assert one_line(said.strip()) == f"fetching {server.address}/a%20b/model.safetensors to {file}"


def test_what_is_kept_is_taken_without_any_network():
    with served(Answer(DATA)) as server:
        address = f"{server.address}/x.pth"
        file = get(address)
    assert get(address) == file
    file.unlink()
    assert "no connection can be made to its host, 4 times" in refusal(address)


@pytest.mark.parametrize(
    ("answers", "goes_on"),
    [
        ((BROKEN, Answer(DATA)), True),
        ((Answer(DATA, breaks=300_000), *[Answer(DATA, breaks=400_000)] * 5, Answer(DATA)), True),
        ((Answer(DATA, breaks=1_000_000, ranges=False), Answer(DATA, ranges=False)), True),
        ((Answer(DATA[::-1], breaks=1_000_000), Answer(DATA, etag='"two"')), True),
        # Without a mark of its version, or with a weak one, nothing is gone on with.
        ((Answer(DATA, breaks=1_000_000, etag=None), Answer(DATA, etag=None)), False),
        ((Answer(DATA, breaks=1_000_000, etag='W/"a"'), Answer(DATA, etag='W/"a"')), False),
        ((Answer(b"", status=500), Answer(b"", status=429, headers={"Retry-After": "0"}), Answer(DATA)), False),
    ],
    ids=["break", "more breaks than tries", "no ranges", "changed", "no version", "weak version", "trouble"],
)
def test_it_comes_whole_in_the_end(answers, goes_on):
    with served(one_after_another(*answers)) as server:
        assert get(f"{server.address}/x.pth").read_bytes() == DATA
    first, *others = server.asked
    assert len(others) == len(answers) - 1 and "range" not in first.headers
    assert {asked.headers.get("if-range") for asked in others} == {'"one"' if goes_on else None}


def test_a_server_that_ignores_if_range_can_not_glue_two_versions_together():
    def says(asked, before):
        asked.headers.pop("if-range", None)
        return Answer(DATA[::-1], breaks=1_000_000) if not before else Answer(DATA, etag='"two"')

    with served(says) as server:
        assert get(f"{server.address}/x.pth").read_bytes() == DATA
    assert len(server.asked) == 3


def test_what_was_whole_when_its_process_was_killed_is_taken_as_it_is():
    with served(Answer(DATA)) as server:
        file = get(f"{server.address}/x.pth")
        file.rename(f"{file}.part")
        Path(f"{file}.part.json").write_text('{"version": "\\"one\\""}')
        assert get(f"{server.address}/x.pth").read_bytes() == DATA
    assert server.asked[1].headers["range"] == f"bytes={len(DATA)}-"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=401), "needs a login (401)"),
        (Answer(status=403), "may not be fetched (403 forbidden"),
        (Answer(status=404), "is not there (404 not found): check the address"),
        (Answer(status=410), "is there no longer (410 gone)"),
        (Answer(status=418), "was refused by its server (418)"),
        (Answer(status=429), "can't be fetched: the server has had too many requests (429), 4 times"),
        (Answer(status=503), "can't be fetched: the server has trouble of its own (503), 4 times"),
        (Answer(PAGE, headers={"Content-Type": "text/html; charset=utf-8"}), "is a web page, not a checkpoint: take"),
        (Answer(PAGE), "is a web page, not a checkpoint: take the link of the file itself"),
        (Answer(b"version https://git-lfs.github.com/spec/v1\noid x\n"), "is a Git LFS pointer, not the file"),
        (Answer(b""), "an empty file came"),
        (Answer(b"PK\x03\x04" + DATA, length=5000), "cut short, though its server calls it whole"),
        (Answer(status=302, headers={"Location": "ftp://127.0.0.1/x"}), "leads to one, that can't be fetched"),
        (Answer(status=302, headers={"Location": "/x.pth"}), "lead in a circle"),
    ],
)
def test_what_goes_wrong_is_said_and_nothing_is_kept(answer, words, cache):
    with served(answer) as server:
        said = refusal(f"{server.address}/x.pth")
    assert words in said and f"{server.address}/x.pth" in said and left(cache) == []


def test_weights_that_are_cut_short_are_not_kept(cache):
    with served(Answer(WEIGHTS, length=len(WEIGHTS) - 4)) as server:
        assert "cut short" in refusal(f"{server.address}/x.safetensors")
    assert left(cache) == []


def test_a_length_that_is_too_long_is_given_up_on_with_what_came_kept(cache):
    with served(Answer(DATA, length=len(DATA) + 5, ranges=False)) as server:
        said = refusal(f"{server.address}/x.pth")
    assert "4 times; 2.1 MB of it are kept for the next try" in said
    assert "x.pth" not in left(cache)


def test_redirects_are_followed_and_never_from_https_to_http():
    def says(asked, _):
        return Answer(DATA) if asked.path == "/there" else Answer(status=302, headers={"Location": "/there"})

    with served(says) as server:
        assert get(f"{server.address}/x.pth").read_bytes() == DATA
    from requests import Response

    from bissl_ray.preflight.sources.download import _check_redirect

    answer = Response()
    answer.status_code, answer.url, answer.headers["Location"] = 302, "https://a/x.pth", "http://b/x.pth?token=secret"
    with pytest.raises(BadInputError, match=r"^https://a/x.pth leads to http://b, .*expected https") as error:
        _check_redirect(answer, parsed("https://a/x.pth"))
    assert "secret" not in str(error.value)


def test_a_hash_is_checked_when_it_comes_and_whenever_it_is_taken(cache):
    with served(Answer(DATA)) as server:
        assert f"has sha256={HASH}" in refusal(f"{server.address}/x.pth#sha256={'0' * 64}")
        assert left(cache) == []
        file = get(f"{server.address}/x.pth#sha256={HASH.upper()}")
        file.write_bytes(DATA[:-1])
        assert get(f"{server.address}/x.pth#sha256={HASH}").read_bytes() == DATA
    assert len(server.asked) == 3


def test_secrets_are_neither_said_nor_part_of_the_name_and_a_copy_is_found_without_them(cache):
    with served(Answer(DATA)) as server:
        secret = server.address.replace("//", "//me:hunter2@") + "/x.pth?token=hunter3"
        name = named(secret)
        file = get(name)
        assert server.asked[0].path == "/x.pth?token=hunter3" and server.asked[0].headers["authorization"]
    assert "hunter" not in name + str(file)
    # Of another process, which was never given them.
    script = f"from tests.preflight.sources.getting import get; print(get({name!r}))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == str(file)
    file.unlink()
    assert "hunter" not in refusal(secret)
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False)
    assert "give the whole address again" in done.stderr and "hunter" not in done.stderr


def test_two_processes_at_once_fetch_once():
    together = Event()

    def says(asked, before):
        together.wait(10)
        return Answer(DATA)

    with served(says) as server:
        first, second = (fetching(f"{server.address}/x.pth") for _ in range(2))
        waits = [second.stderr.readline(), first.stderr.readline()]
        together.set()
        files = {process.communicate(timeout=30)[0] for process in (first, second)}
    assert len(files) == 1 and len(server.asked) == 1
    assert sorted(line.split()[0] for line in waits) == ["fetching", "waiting"]


def test_after_a_killed_process_the_next_goes_on():
    def says(asked, before):
        if before:
            return Answer(DATA)
        # Half of it, and then nothing for longer than the process lives.
        return Answer(DATA[: 2**20], length=len(DATA))

    with served(says) as server:
        address = f"{server.address}/x.pth"
        process = fetching(address, pause=30)
        part = None
        while part is None or part.stat().st_size < 2**18:
            time.sleep(0.01)
            part = next(Path(os.environ["BISSL_RAY_CACHE"]).rglob("*.part"), None)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert get(address).read_bytes() == DATA
    assert server.asked[-1].headers["range"].startswith("bytes=")


def fetching(address: str, pause: float = 0.01) -> "subprocess.Popen[str]":
    script = (
        "from bissl_ray.preflight.sources import download; from tests.preflight.sources.getting import get; "
        f"download._PAUSE_S = {pause}; print(get({address!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", script], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_what_can_not_be_written_is_said_and_leaves_nothing(cache):
    # A limit on the size of files: the system refuses in the middle, as a full disk does.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)); "
    script = f"{limit}from tests.preflight.sources.getting import get; get(ADDRESS)"
    with served(Answer(DATA)) as server:
        script = script.replace("ADDRESS", repr(f"{server.address}/x.pth"))
        done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False)
        assert "x.pth can't be kept: File too large; free it, or name another folder" in done.stderr
        assert left(cache) == []
        assert get(f"{server.address}/x.pth").read_bytes() == DATA


@pytest.mark.parametrize("place", ["/proc/nowhere", "file"])
def test_a_cache_that_can_not_be_written_is_said(place, tmp_path, monkeypatch):
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "checkpoints").touch()
    monkeypatch.setenv("BISSL_RAY_CACHE", str(tmp_path / place))
    with served(Answer(DATA)) as server:
        said = refusal(f"{server.address}/x.pth")
    assert "can't be kept" in said and "BISSL_RAY_CACHE" in said and not server.asked


def test_a_proxy_of_the_environment_is_asked(monkeypatch):
    with served(Answer(DATA)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        assert get("http://somewhere.invalid/x.pth").read_bytes() == DATA
        assert proxy.asked[0].path == "http://somewhere.invalid/x.pth"
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert "the proxy of the environment" in refusal("http://somewhere.invalid/y.pth")
