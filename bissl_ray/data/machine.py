"""How many processors and how much memory this process may use."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def processors(root: Path = Path("/")) -> int:
    """Processors that this process may use: the machine's, or fewer where its affinity, container or batch job says so.

    A share of a processor that is left over counts for nothing, unless there is no whole one. OMP_NUM_THREADS doesn't
    count: it is of one process, and says nothing of how many there may be.

    Args:
        root: of the file system; as of `usable_memory`.
    """
    machine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([machine, *_quotas(root), *_of_slurm()]))


def usable_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may use: the machine's, or less where a container or batch system limits it.

    Args:
        root: of the file system; the limits are in its proc/ and sys/ (Linux control groups, version 1 or 2).
    """
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits(root)])


def _quotas(root: Path) -> Iterator[int]:
    for group in _groups(root, "cpu"):
        with suppress(OSError, ValueError):
            # Version 2: "QUOTA PERIOD", or "max PERIOD" where there is no limit.
            most, span = (group / "cpu.max").read_text().split()
            yield int(most) // int(span)
        with suppress(OSError, ValueError):
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if int(quota) > 0:  # -1: no limit
                yield int(quota) // int(period)


def _of_slurm() -> Iterator[int]:
    """What a Slurm job was given on this node; where it binds processes, their affinity says the same."""
    names = ["SLURM_CPUS_ON_NODE"]
    if os.environ.get("SLURM_NTASKS", "1") == "1":
        names.append("SLURM_CPUS_PER_TASK")
    for name in names:
        with suppress(KeyError, ValueError):
            yield max(1, int(os.environ[name]))


def _limits(root: Path) -> Iterator[int]:
    for group in _groups(root, "memory"):
        for file in ("memory.max", "memory.limit_in_bytes"):
            # A version 2 group without a limit says "max".
            with suppress(OSError, ValueError):
                yield int((group / file).read_text())


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Control groups of this process, and all that they are in; none where there are no control groups."""
    base = root / "sys/fs/cgroup"
    lines = []
    with suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # In a container, a part of the path may be hidden; what is there counts.
        inside = Path(path.lstrip("/"))
        for folder in (inside, *inside.parents):
            yield (base / controller if controllers else base) / folder
