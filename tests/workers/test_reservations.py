"""What a dead actor had reserved is free again, and nothing else."""

import subprocess
import sys

import pytest

from tests.cli.command import environment

pytestmark = pytest.mark.ray

SCRIPT = """
import os, signal, time
import ray
from bissl_ray.workers.reservations import free_orphaned

ray.init(address="local", num_cpus=4, include_dashboard=False)

@ray.remote(num_cpus=0)
class Owner:
    def reserve(self):
        self.group = ray.util.placement_group([{"CPU": 1}] * 2)
        ray.get(self.group.ready())
        return os.getpid()

def free():
    return ray.available_resources().get("CPU", 0)

def until(number):
    deadline = time.monotonic() + 60
    while free() != number:
        assert time.monotonic() < deadline, free()
        time.sleep(0.1)

lost, alive = Owner.remote(), Owner.remote()
pid = ray.get(lost.reserve.remote())
own = ray.util.placement_group([{"CPU": 1}])
ray.get(own.ready())
until(1)
os.kill(pid, signal.SIGKILL)
deadline = time.monotonic() + 60
while not free_orphaned():
    assert time.monotonic() < deadline
    time.sleep(0.1)
until(3)
ray.get(alive.reserve.remote())
until(1)
assert free_orphaned() == 0
ray.shutdown()
print("done")
"""


def test_what_a_dead_actor_had_reserved_is_freed() -> None:
    """In a process of its own, which has a Ray of its own."""
    asked = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(asked, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.splitlines()[-1:] == ["done"], done.stderr[-3000:]
