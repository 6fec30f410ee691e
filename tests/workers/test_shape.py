"""What fits on a cluster."""

import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.workers.shape import Cluster, Node


def cluster(cpus, gpus=0):
    return Cluster("this machine", (Node(cpus, gpus),))


@pytest.mark.parametrize(
    ("cpus", "gpus", "workers", "cpus_each", "slots"),
    [
        (2, 0, 1, 1, 2),
        (2, 0, 2, 1, 1),
        (7, 0, 2, 1, 3),
        (16, 1, 1, 16, 1),
        (64, 8, 2, 8, 4),
        (64, 8, 3, 8, 2),
        (4, 8, 2, 1, 2),  # fewer CPUs than GPUs: the CPUs are the limit
    ],
)
def test_groups_fill_the_cluster(cpus, gpus, workers, cpus_each, slots):
    shape = cluster(cpus, gpus).shape(workers, "runs")
    assert (shape.workers, shape.cpus_per_worker, shape.use_gpu) == (workers, cpus_each, gpus > 0)
    assert cluster(cpus, gpus).slots(shape) == slots
    assert shape.worker_resources == {"CPU": cpus_each, **({"GPU": 1} if gpus else {})}


@pytest.mark.parametrize(
    ("nodes", "workers", "cpus_each", "slots"),
    [
        ([(16, 0), (8, 1), (8, 1)], 1, 8, 2),  # a head without GPUs lends no CPU to a worker with one
        ([(0, 0), (8, 4), (4, 1)], 2, 2, 2),
        ([(3, 0), (3, 0)], 2, 1, 3),  # a group may span machines
    ],
)
def test_every_worker_fits_on_one_machine(nodes, workers, cpus_each, slots):
    several = Cluster("the cluster", tuple(Node(*node) for node in nodes))
    shape = several.shape(workers, "runs")
    assert (shape.cpus_per_worker, several.slots(shape)) == (cpus_each, slots)


@pytest.mark.parametrize(("cpus", "gpus", "unit"), [(2, 0, "CPUs"), (64, 2, "GPUs")])
def test_a_group_larger_than_the_cluster_is_refused(cpus, gpus, unit):
    with pytest.raises(BadInputError, match=rf"3 workers need 3 {unit}; this machine has 2: .*--workers-per"):
        cluster(cpus, gpus).shape(3, "runs")
