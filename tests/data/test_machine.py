"""The memory that may be used, under limits written as Linux's control groups write them."""

import os
from pathlib import Path

import pytest

from bissl_ray.data.machine import usable_memory

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
