"""Running statistics taken afresh: the plain average over some batches, alike on all workers."""

import torch

from bissl_ray.models import build_backbone
from bissl_ray.training.evaluation.statistics import reestimate_statistics
from tests.processes import run_workers


def batches(rank: int = 0, workers: int = 1) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    share = 8 // workers
    images = [torch.randn(8, 3, 8, 8, generator=generator) for _ in range(3)]
    return [(batch[rank * share : (rank + 1) * share], torch.zeros(share)) for batch in images]


def statistics(rank: int = 0, workers: int = 1, mode: str = "synchronised") -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    backbone = build_backbone("smallconv", mode)
    with torch.no_grad():
        for buffer in backbone.buffers():
            buffer += 7  # stale
    reestimate_statistics([backbone], lambda batch: backbone(batch[0]), iter(batches(rank, workers)), 3)
    return {name: tensor for name, tensor in backbone.state_dict().items() if "running" in name}


def test_first_layer_gets_the_average_of_its_batches() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("smallconv")
    first = next(m for m in backbone.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm))
    seen = []
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    backbone.eval()
    reestimate_statistics([backbone], lambda batch: backbone(batch[0]), iter(batches()), 3)
    assert not backbone.training and first.momentum == 0.1
    torch.testing.assert_close(first.running_mean, torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0))
    torch.testing.assert_close(first.running_var, torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0))


def test_workers_end_with_the_same_statistics() -> None:
    one = statistics()
    for mode in ("synchronised", "per_worker"):
        first, second = run_workers(statistics, 2, mode)
        for name in one:
            assert torch.equal(first[name], second[name]), (mode, name)
    synchronised, _ = run_workers(statistics, 2, "synchronised")
    for name in one:
        torch.testing.assert_close(synchronised[name], one[name])


def test_what_a_task_adds_is_taken_afresh_too() -> None:
    torch.manual_seed(0)
    backbone, norm = build_backbone("smallconv"), torch.nn.BatchNorm1d(64)
    norm.eval()
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    reestimate_statistics([backbone, norm], lambda batch: norm(backbone(batch[0])), iter(batches()), 3)
    assert backbone.training and not norm.training and len(seen) == 3
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(0) for x in seen]).mean(0))
