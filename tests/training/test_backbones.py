"""BiSSL with backbones of other kinds, and what of them several workers and statistics touch."""

import copy

import pytest
import torch

from bissl_ray.models import build_backbone
from bissl_ray.parallel import frozen_statistics
from bissl_ray.training.evaluation.statistics import reestimate_statistics
from bissl_ray.training.worker import alone
from tests.processes import run_workers
from tests.training.small_trial import Reports, order, run, write_start

pytestmark = pytest.mark.slow

CASES = {
    "transformer": {"backbone": "vit_ti_16", "image_size": 16, "pretext": "byol", "proximity_weight_layer4": 0.5},
    "convnext of timm": {"backbone": "timm/convnext_atto", "image_size": 32, "pretext": "simclr"},
}


@pytest.mark.parametrize("case", CASES)
def test_the_linear_systems_of_a_stage_are_solved(tmp_path, case):
    pytest.importorskip("timm")
    # Fresh weights: the curvature has eigenvalues of -10⁴ and 10⁴, and only damping makes the systems definite.
    changes = {**CASES[case], "damping": 1e6, "alternations": 1}
    write_start(tmp_path, **changes)
    rows = Reports()
    result = run(order(tmp_path, ("bissl",), **changes), alone(), rows)
    assert result["hvps"] > 0
    assert [row["cg_residual"] < 0.05 for row in rows] == [True]


@pytest.mark.parametrize("name", ["vit_ti_16", "convnext_tiny"])
def test_without_batch_norm_there_are_no_statistics(name):
    backbone = build_backbone(name, image_size=32)
    before = copy.deepcopy(backbone.state_dict())
    assert not list(backbone.buffers())
    reestimate_statistics([backbone], backbone, iter([torch.randn(2, 3, 32, 32)]), 1)
    with frozen_statistics(backbone):
        backbone(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def _features(rank: int, world_size: int) -> torch.Tensor:
    torch.manual_seed(0)
    backbone = build_backbone("timm/efficientnet_b0", "synchronised", 32).double().train()
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()
    return backbone(images.chunk(world_size)[rank]).detach()


def test_timms_batch_norm_with_activation_spans_workers():
    pytest.importorskip("timm")
    together = torch.cat(run_workers(_features, 2))
    torch.testing.assert_close(together, _features(0, 1), rtol=1e-9, atol=1e-9)
