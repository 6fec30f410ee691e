"""Runs a case in this process, starts nothing, and judges how it ended.

A case is well when it ends with code 0, 1 or 2 and, unless it is done, a clear line or a few; when it has left nothing
half-written, printed no secret, and taken neither long nor much memory. What would start a Ray or a training is stopped
there, where everything has been checked.
"""

import codecs
import io
import os
import re
import resource
import shutil
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import typer

from bissl_ray.cli import streams
from tests.earlier.storage import unpack_release_0_1
from tests.fuzz.case import SECRET, Case, Ending

_LONGEST_S = 10.0
"""Of processor time; whoever waits is stopped after twice as long."""
_MOST_KB = 1_500_000
_LONGEST_LINE = 1500
_COMMANDS = cache(typer.main.get_command)
"""Typer makes every verb's flags anew for each command line, which takes half of a case's time."""
_CODES = {0: "done", 1: "failed", 2: "refused"}


class WouldStart(BaseException):
    """Everything has been checked, and work would begin."""


class TooLong(BaseException):
    """The case doesn't come to an end."""


class Place:
    """A folder in which cases run, one after another."""

    def __init__(self, folder: Path) -> None:
        """Unpack what cases need into a folder of the caller's."""
        self._folder, self._earlier = folder / "case", folder / "earlier"
        self._earlier.mkdir()
        unpack_release_0_1(self._earlier)
        streams.prepare()
        self._environment = {
            "HOME": str(self._folder),
            "XDG_CONFIG_HOME": str(self._folder / "config"),
            "BISSL_RAY_CACHE": str(folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "eu-west-1",
            "COLUMNS": "100",
        }

    def run(self, case: Case) -> Ending:
        """Run a case, and judge it; one that a signal ended is none, and is run again."""
        ending = self._run(case)
        return self._run(case) if ending.fault == "exit code 130" else ending

    def _run(self, case: Case) -> Ending:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self._lay_out(case)
        before = _snapshot(self._folder)
        here = Path.cwd()
        os.chdir(self._folder)
        try:
            with _variables({**self._environment, **case.environment}), _nothing_starts():
                code, out, err, fault = _run(case.argv)
        finally:
            os.chdir(here)
        after = _snapshot(self._folder)
        if not fault:
            fault = _judge(case, code, out, err, before, after) or ""
        if fault:
            return Ending("", fault, err)
        return Ending("would start" if code is None else _CODES[code], "", err)

    def _lay_out(self, case: Case) -> None:
        (self._folder / "folder").mkdir()
        (self._folder / "empty").touch()
        (self._folder / "text.yaml").write_text("a text\n")
        (self._folder / "binary.pth").write_bytes(bytes(range(256)))
        (self._folder / "gone").symlink_to("nowhere")
        os.mkfifo(self._folder / "fifo")
        if case.storage:
            shutil.copytree(
                self._earlier / "runs",
                self._folder / "runs",
            )
        for name, content in case.files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(content)


def _run(argv: tuple[str, ...]) -> tuple[int | None, str, str, str]:
    """Exit code (None: it would start something), standard output, standard error, and what went wrong."""
    from bissl_ray.cli.main import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code: int | None = None
    fault = ""
    began, held = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with patch.multiple(sys, argv=["bissl-ray", *argv], stdout=out, stderr=err), _watched():
        try:
            main()
            fault = "main came back"
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except WouldStart:
            pass
        except TooLong as error:
            fault = f"does not end: {_where(error)}"
        except BaseException as error:
            fault = f"{type(error).__name__} at {_where(error)}"
            traceback.print_exc(file=err)
    if not fault and time.process_time() - began > _LONGEST_S:
        fault = "takes long"
    if not fault and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held > _MOST_KB:
        fault = "takes much memory"
    said = [stream.buffer.getvalue().decode("utf-8", "surrogatepass") for stream in (out, err)]  # type: ignore[attr-defined]
    return code, said[0], said[1], fault


def _judge(
    case: Case, code: int | None, out: str, err: str, before: dict[str, Any], after: dict[str, Any]
) -> str | None:
    if code is not None and code not in _CODES:
        return f"exit code {code}"
    if SECRET in out + err:
        return "tells a secret"
    if any(SECRET in name for name in after.keys() - before.keys()):
        return "a secret in a file's name"
    lost = [name for name, facts in before.items() if after.get(name) != facts and not _is_a_folder(facts)]
    if "--clean" in case.argv:
        lost = []
    if case.may_write:  # a document that is brought up to date, and what was asked to be replaced
        lost = [name for name in lost if not name.endswith(".json") and "--force" not in case.argv]
    if lost:
        return f"changes {Path(lost[0]).name}"
    new = after.keys() - before.keys()
    if half := [name for name in new if Path(name).name.startswith(".") and not name.startswith("config")]:
        return f"leaves {half[0]}"
    if new and code is not None and (code == 2 or not case.may_write):
        return f"writes {min(new)}"
    if not {"csv", "json"} & set(case.argv) and any(not char.isprintable() and char not in "\n\ufeff" for char in out):
        return f"shows {next(ascii(char) for char in out if not char.isprintable() and char != chr(10))}"
    return _judge_lines(code, out, err)


def _judge_lines(code: int | None, out: str, err: str) -> str | None:
    if "Traceback (most recent" in err:
        places = re.findall(r'/bissl_ray/(\S+\.py)", line \d+, in (\S+)', err.replace("bissl_ray/cli/main.py", ""))
        return f"{err.rstrip().rpartition('a fault of its own, ')[2].partition(';')[0]} at {':'.join(places[-1])}"
    if warned := re.search(r"\.py:\d+: (\w+Warning)", err):
        return f"warns: {warned[1]}"
    if any(not char.isprintable() and char not in "\n" for char in err):
        return f"prints {next(ascii(char) for char in err if not char.isprintable() and char != chr(10))}"
    lines = err.splitlines()
    if code in (1, 2) and not lines and not (code == 1 and out):
        return f"code {code} without a word"
    if code == 2 and not lines[-1].startswith("bissl-ray: ") and not err.lstrip().startswith("Usage:"):
        return "several lines"
    if code == 2 and any(not line.startswith(("bissl-ray: ", "warning: ", "fetching ")) for line in lines[:-1]):
        return None if err.lstrip().startswith("Usage:") else "several lines"
    if any(len(line) > _LONGEST_LINE for line in lines):
        return "a line without end"
    return None


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/bissl_ray/" in frame.filename] or frames
    last = own[-1]
    return f"{last.filename.rpartition('/bissl_ray/')[2]}:{last.name}"


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below a folder; of a folder (-1, 0)."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders:
            found[os.path.relpath(os.path.join(place, name), folder)] = (-1, 0)  # noqa: PTH118 ten times as fast
        for name in files:
            facts = os.lstat(os.path.join(place, name))  # noqa: PTH118
            found[os.path.relpath(os.path.join(place, name), folder)] = (facts.st_size, facts.st_mtime_ns)  # noqa: PTH118
    return found


def _is_a_folder(facts: tuple[int, int]) -> bool:
    return facts[0] == -1


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    kept = os.environ.copy()
    for name in [name for name in os.environ if name.startswith(("BISSL_RAY_", "RAY_"))]:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _nothing_starts() -> Iterator[None]:
    """No place to run, no network, no waiting for other machines."""
    import bissl_ray.compare.run
    import bissl_ray.preflight.machines.checkup
    import bissl_ray.preflight.session
    import bissl_ray.preflight.sources.download
    import bissl_ray.store.lock  # noqa: F401 patched below

    def start(*_: object, **__: object) -> None:
        raise WouldStart

    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with (
        patch("bissl_ray.preflight.session.place_for", start),
        patch("bissl_ray.preflight.machines.checkup.place_for", start),
        patch("bissl_ray.compare.run.one_cluster", start),
        patch("bissl_ray.preflight.sources.download._PAUSE_S", 0.0),
        patch("bissl_ray.store.lock.LEASE_S", 0.1),
        patch("bissl_ray.store.lock._LOOK_S", 0.02),
        patch("socket.getaddrinfo", refuse),
        patch("socket.socket.connect", refuse),
        patch("typer.main.get_command", _COMMANDS),
        patch.object(codecs, "register"),  # once is enough, and each case's would be asked for ever
        warnings.catch_warnings(),
    ):
        yield


@contextmanager
def _watched() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooLong

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, _LONGEST_S)
    signal.setitimer(signal.ITIMER_REAL, 6 * _LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
