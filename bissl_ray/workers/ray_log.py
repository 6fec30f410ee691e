"""What Ray says of itself, kept in a file: its warnings, its tracebacks, what its core prints by itself.

On a terminal it would stand in the middle of the board. While a job has the place where its results go, the file is
`ray.log` in the job's folder where that is one of this machine, else one in the folder for temporary files. A file that
nothing was written to is not there in the end.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bissl_ray import outputs

NAME: Final = "ray.log"
_IDLE_TALK: Final = (
    # Tune's own state is never read: what becomes of its copy, and that there are no files of its own, is no news.
    "ray.tune.execution.experiment_state",
    "ray.tune.analysis.experiment_analysis",
    # What became of each trial is in the store and on the board; Tune would list its own names of those it lost.
    "ray.tune.tune",
    # That a scheduler has looked at what is not public (`sweep.scheduler`).
    "ray.tune.execution.tune_controller",
)
_CURRENT: "list[_Log]" = []


class _Log:
    """A file that is written to by its descriptor, which stays the same when another file takes its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = _opened(path)

    def write(self, text: str) -> None:
        """Write some lines; a disk that is full is no reason to say so on the terminal."""
        with suppress(OSError):
            os.write(self.descriptor, text.encode("utf-8", "backslashreplace"))


class _Handler(logging.Handler):
    def __init__(self, log: _Log) -> None:
        super().__init__()
        self._log = log
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            self._log.write(self.format(record) + "\n")


def where() -> str | None:
    """The path of the file, as short as it can be given here; None: Ray is not connected to by this process."""
    if not _CURRENT:
        return None
    path = _CURRENT[-1].path
    with suppress(OSError, ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def pointer() -> str:
    """For the end of a line: where more is said; "" where there is nothing to point to."""
    path = where()
    return "" if path is None else f"; more in {path}"


def write(text: str) -> None:
    """Add something that a person may want to look up later, such as a traceback."""
    if _CURRENT:
        _CURRENT[-1].write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text.rstrip()}\n")


@contextmanager
def ray_log() -> Iterator[None]:
    """Keep Ray's words from the terminal, for the duration of a `with` block; Ray is not imported yet, or is."""
    if _CURRENT:
        yield
        return
    descriptor, name = tempfile.mkstemp(prefix="bissl-ray-", suffix=".log")
    os.close(descriptor)
    log = _Log(Path(name))
    with ExitStack() as ends:
        ends.callback(_let_go, log)
        _CURRENT.append(log)
        ends.callback(_CURRENT.remove, log)
        if outputs.are_separate():
            ends.enter_context(outputs.libraries_into(log.descriptor))
        ends.enter_context(_PrintedByRay(log))
        ends.enter_context(_loggers_as_before())
        take_loggers()
        yield


def lie_in(storage: str, folder: str) -> None:
    """Have the file lie in a job's folder from now on, with what was written before; where that is of this machine.

    Args:
        storage: absolute, or a URI.
        folder: relative to it; it is there.
    """
    if not _CURRENT or "://" in storage:
        return
    log, path = _CURRENT[-1], Path(storage) / folder / NAME
    with suppress(OSError):  # a full disk: it stays where it is
        _move(log, path)


def _move(log: _Log, path: Path) -> None:
    """Go on in another file, with what a temporary one holds."""
    old = log.path
    said = b"" if old.name == NAME else old.read_bytes()
    descriptor = _opened(path)
    try:
        if said:
            os.write(descriptor, said)
        # Descriptors 1 and 2 are copies of the one, and go along where they are turned to it.
        for number in (log.descriptor, *((1, 2) if outputs.are_separate() else ())):
            os.dup2(descriptor, number)
    finally:
        os.close(descriptor)
    log.path = path
    if old.name == NAME:
        _drop_if_empty(old)
    else:
        old.unlink(missing_ok=True)


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _let_go(log: _Log) -> None:
    os.close(log.descriptor)
    _drop_if_empty(log.path)


def _drop_if_empty(path: Path) -> None:
    with suppress(OSError):
        if not path.stat().st_size:
            path.unlink()


def take_loggers() -> None:
    """Have Ray's loggers write there, and nowhere else. Again when Ray has been connected to, which drops handlers."""
    logger = logging.getLogger("ray")
    if _CURRENT and not any(isinstance(handler, _Handler) for handler in logger.handlers):
        logger.handlers[:], logger.propagate = [_Handler(_CURRENT[-1])], False
        logger.setLevel(logging.WARNING)
        for name in _IDLE_TALK:
            logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _loggers_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("ray", *_IDLE_TALK)]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    try:
        yield
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)


class _PrintedByRay:
    """What Ray prints on standard output of the cluster's errors, whatever it was told of logging."""

    def __init__(self, log: _Log) -> None:
        self._log = log

    def __enter__(self) -> None:
        import ray._private.worker as worker

        self._worker, self._before = worker, worker.print_to_stdstream
        worker.print_to_stdstream = self._print

    def __exit__(self, *_: object) -> None:
        self._worker.print_to_stdstream = self._before

    def _print(self, data: dict[str, Any], *_: object, **__: object) -> None:
        for line in data.get("lines", ()):
            self._log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} ({data.get('pid')}) {line}\n")
