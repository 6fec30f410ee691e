"""What fits on a cluster."""

import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.workers.place import Need, OnCluster
from bissl_ray.workers.shape import Cluster, Node, check_gpu_share, read_resources


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


@pytest.mark.parametrize(
    ("nodes", "share", "cpus_each", "slots"),
    [
        ([(16, 1)], 0.25, 4, 4),
        ([(16, 1)], 1.0, 16, 1),
        ([(16, 1)], 0.33, 5, 3),
        ([(16, 1)], 1 / 49, 1, 16),  # the CPUs are the limit
        ([(16, 0), (8, 2), (8, 1)], 0.5, 2, 6),  # each fits on any machine with GPUs
    ],
)
def test_trials_share_a_gpu(nodes, share, cpus_each, slots):
    several = Cluster("the cluster", tuple(Node(*node) for node in nodes))
    shape = several.shape(1, "runs", gpu_share=share)
    assert (shape.cpus_per_worker, several.slots(shape)) == (cpus_each, slots)
    assert shape.worker_resources == {"CPU": cpus_each, "GPU": pytest.approx(share, abs=1e-4)}
    assert shape.worker_resources["GPU"] <= share and len(str(shape.worker_resources["GPU"])) <= len("0.2500")
    assert OnCluster(several, shape).gpus == pytest.approx(slots * share)


def test_what_several_workers_do_together_takes_whole_gpus():
    place = OnCluster(cluster(16, 2), cluster(16, 2).shape(1, "runs", gpu_share=0.25))
    assert (place.slots, place.shape.on) == (8, "0.25 of a GPU")
    together = place.together.shape
    assert (together.workers, together.gpu_share, together.cpus_per_worker) == (2, 1, 8)
    whole = OnCluster(cluster(16, 2), cluster(16, 2).shape(1, "runs"))
    assert whole.together.shape.workers == 2


@pytest.mark.parametrize(
    ("share", "workers", "expected"),
    [
        (0.4, 1, "--gpus-per-worker 0.4: expected 1, or such a part of a GPU that some fill it: 0.5"),
        (2.0, 1, "--gpus-per-worker 2: expected 1"),
        (0.0, 1, "--gpus-per-worker 0: expected 1"),
        (-0.5, 1, "--gpus-per-worker -0.5: expected 1"),
        (0.5, 2, "--gpus-per-worker 0.5 with --workers-per-trial 2: workers of one trial talk by nccl"),
    ],
)
def test_a_part_of_a_gpu_that_can_not_be_had(share, workers, expected):
    with pytest.raises(BadInputError, match=expected):
        check_gpu_share(share, workers)


@pytest.mark.parametrize(("share", "workers"), [(None, 2), (1.0, 2), (0.5, 1), (0.33, 1), (0.142, 1), (1 / 3, 1)])
def test_a_part_of_a_gpu_that_can(share, workers):
    check_gpu_share(share, workers)


def test_there_is_no_part_of_a_gpu_without_one():
    with pytest.raises(BadInputError, match=r"--gpus-per-worker 0\.25: this machine has no GPU: leave it out"):
        cluster(2).shape(1, "runs", gpu_share=0.25)


def test_no_more_groups_than_asked_for_and_pretraining_takes_no_more_either():
    two = OnCluster(cluster(16, 8), cluster(16, 8).shape(2, "runs"), most_groups=2)
    assert (two.slots, two.gpus, two.together.shape.workers, two.of(1).slots) == (2, 4, 4, 2)
    assert OnCluster(cluster(4), cluster(4).shape(2, "runs"), most_groups=9).slots == 2
    shared = OnCluster(cluster(16, 2), cluster(16, 2).shape(1, "runs", gpu_share=0.25), most_groups=1)
    assert (shared.slots, shared.together.shape.workers, shared.together.shape.gpu_share) == (1, 1, 1.0)


MIXED = Cluster(
    "the cluster",
    (
        Node(16, 0, {"CPU": 16.0, "memory": 1e9, "node:1": 1.0}),
        Node(32, 4, {"accelerator_type:H100": 1.0}),
        Node(64, 8, {"accelerator_type:A100": 1.0, "scratch": 3.0}),
    ),
)


@pytest.mark.parametrize(
    ("resources", "slots", "cpus_each"),
    [
        ({"accelerator_type:H100": 0.001}, 4, 8),
        ({"accelerator_type:A100": 0.001}, 8, 8),
        ({"scratch": 1}, 3, 8),
        ({"scratch": 0.5, "accelerator_type:A100": 0.5}, 2, 8),
        ({}, 12, 8),
    ],
)
def test_workers_keep_to_machines_that_have_what_they_ask_for(resources, slots, cpus_each):
    place = Need(1, "--workers-per-trial", in_process=False, resources=resources).on(MIXED, "runs")
    assert (place.slots, place.shape.cpus_per_worker) == (slots, cpus_each)
    assert place.shape.worker_resources == {"CPU": cpus_each, "GPU": 1, **resources}
    shared = Need(1, "--workers-per-trial", in_process=False, gpu_share=0.5, resources=resources).on(MIXED, "runs")
    assert shared.together.shape.resources == resources


def test_what_no_machine_has_is_refused_with_what_they_have():
    need = Need(1, "--workers-per-trial", in_process=False, resources={"accelerator_type:h100": 1.0})
    with pytest.raises(BadInputError) as refused:
        need.on(MIXED, "runs")
    assert str(refused.value) == (
        "--resources: nothing on the cluster has 1 accelerator_type:h100; there is accelerator_type:A100, "
        "accelerator_type:H100, scratch; did you mean 'accelerator_type:H100' or 'accelerator_type:A100'?"
    )


def test_resources_are_read():
    assert read_resources('{"a": 0.001, "b": 2}') == {"a": 0.001, "b": 2.0}
    assert read_resources(None) == {} and read_resources({"a": 1}) == {"a": 1.0}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("H100", "expected Ray's names with amounts"),
        ("[1]", "expected Ray's names with amounts"),
        ('{"a": "1"}', "found '1' of 'a'"),
        ('{"a": 0}', "found 0 of 'a'"),
        ('{"a": -1}', "found -1 of 'a'"),
        ('{"a": NaN}', "found nan of 'a'"),
        ('{"a": 1.5}', "whole from 1 on"),
        ('{"a": true}', "found True of 'a'"),
        ('{"": 1}', "of ''"),
        ('{"GPU": 1}', "GPU is not asked for here: use --gpus-per-worker"),
        ('{"CPU": 1}', "each worker has its part"),
    ],
)
def test_other_resources_are_refused(written, said):
    with pytest.raises(BadInputError, match="--resources") as refused:
        read_resources(written)
    assert said in str(refused.value)
