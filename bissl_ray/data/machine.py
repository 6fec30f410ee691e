"""How many processors and how much memory this process may use."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may use: the machine's, or less where a container or batch system limits it.

    Args:
        root: of the file system; the limits are in its proc/ and sys/ (Linux control groups, version 1 or 2).
    """
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    """The limits of this process's control group and of all that it is in; none where there are no control groups."""
    groups = root / "sys/fs/cgroup"
    lines = []
    with suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _upwards(groups, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _upwards(groups / "memory", path, "memory.limit_in_bytes")


def _upwards(base: Path, path: str, file: str) -> Iterator[int]:
    # In a container, a part of the path may be hidden; what is there counts.
    inside = Path(path.lstrip("/"))
    for folder in (inside, *inside.parents):
        # A version 2 group without a limit says "max".
        with suppress(OSError, ValueError):
            yield int((base / folder / file).read_text())
