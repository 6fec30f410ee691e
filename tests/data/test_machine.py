"""Memory and processors that may be used, under limits written as Linux's control groups write them."""

import os
from pathlib import Path

import pytest

from bissl_ray.data.machine import processors, usable_memory

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
UNLIMITED_V1 = 2**63 - 4096


@pytest.fixture
def root(tmp_path: Path):
    def write(cgroup: str, **limits: str) -> Path:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(cgroup)
        for path, limit in limits.items():
            file = tmp_path / "sys/fs/cgroup" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(limit + "\n")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("cgroup", "limits", "expected"),
    [
        ("0::/job/step\n", {"job/step/memory.max": "max", "job/memory.max": "1000"}, 1000),
        ("0::/job/step\n", {"job/step/memory.max": "500", "job/memory.max": "1000"}, 500),
        ("0::/hidden/by/the/container\n", {"memory.max": "700"}, 700),
        ("0::/\n", {"memory.max": "max"}, MACHINE),
        ("0::/\n", {}, MACHINE),
        (
            "5:cpu:/x\n4:memory:/docker/1\n",
            {"memory/docker/1/memory.limit_in_bytes": "900", "memory/memory.limit_in_bytes": str(UNLIMITED_V1)},
            900,
        ),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": str(UNLIMITED_V1)}, MACHINE),
    ],
)
def test_the_smallest_limit_counts(root, cgroup: str, limits: dict[str, str], expected: int) -> None:
    assert usable_memory(root(cgroup, **limits)) == expected


def test_without_control_groups_it_is_the_machines(tmp_path: Path) -> None:
    assert usable_memory(tmp_path) == MACHINE
    assert 0 < usable_memory() <= MACHINE


@pytest.fixture
def of_64(monkeypatch):
    """A machine of 64 processors, outside Slurm."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    for name in ("SLURM_CPUS_ON_NODE", "SLURM_CPUS_PER_TASK", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)


V1 = "cpu/docker/1/cpu.cfs_"


@pytest.mark.parametrize(
    ("cgroup", "limits", "expected"),
    [
        ("0::/job/step\n", {"job/step/cpu.max": "max 100000", "job/cpu.max": "200000 100000"}, 2),
        ("0::/job/step\n", {"job/step/cpu.max": "150000 100000", "job/cpu.max": "max 100000"}, 1),
        ("0::/hidden\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000"}, 64),
        ("0::/\n", {}, 64),
        ("5:cpu,cpuacct:/docker/1\n", {f"{V1}quota_us": "300000", f"{V1}period_us": "100000"}, 3),
        ("5:cpu,cpuacct:/docker/1\n", {f"{V1}quota_us": "-1", f"{V1}period_us": "100000"}, 64),
        ("5:cpuset:/docker/1\n", {f"{V1}quota_us": "300000", f"{V1}period_us": "100000"}, 64),
    ],
)
def test_a_quota_of_processors_counts(root, of_64, cgroup: str, limits: dict[str, str], expected: int) -> None:
    assert processors(root(cgroup, **limits)) == expected


@pytest.mark.parametrize(
    ("slurm", "expected"),
    [
        ({"CPUS_PER_TASK": "4"}, 4),
        ({"CPUS_PER_TASK": "4", "NTASKS": "1", "CPUS_ON_NODE": "8"}, 4),
        ({"CPUS_PER_TASK": "4", "NTASKS": "8", "CPUS_ON_NODE": "32"}, 32),  # one process for all tasks
        ({"CPUS_ON_NODE": "many"}, 64),
        ({"CPUS_ON_NODE": "128"}, 64),
    ],
)
def test_what_slurm_gave_counts(tmp_path, of_64, monkeypatch, slurm: dict[str, str], expected: int) -> None:
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert processors(tmp_path) == expected


def test_the_affinity_counts(tmp_path, of_64, monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert processors(tmp_path) == 2
