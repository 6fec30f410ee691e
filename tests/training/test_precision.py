"""Training in bfloat16 stays near float32 where it may round and in float32 where it must; curvature never rounds."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bissl_ray.bilevel import LowerHessian
from bissl_ray.downstream.classification import ClassificationTask
from bissl_ray.models import build_backbone
from bissl_ray.models.convnets import SmallConv
from bissl_ray.parallel import frozen_statistics
from bissl_ray.pretext import build_pretext, cross_correlation, nt_xent, pretext_names, statistics
from bissl_ray.training.precision import autocast, exact_arithmetic, training_arithmetic
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import alone
from tests.training.small_trial import (
    CPU,
    Reports,
    assert_bit_equal,
    one_for_each,
    order,
    run,
    saved_models,
    settings,
    write_start,
)


def modes():
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision


def problem(kind):
    """A backbone, the parameters of a loss, and the loss itself, on 32 random images."""
    torch.manual_seed(0)
    backbone = build_backbone("smallconv")
    first, second = torch.randn(32, 3, 16, 16), torch.randn(32, 3, 16, 16)
    if kind == "classification":
        task = ClassificationTask(backbone.feature_dim, 10)
        labels = torch.randint(10, (32,))
        return backbone, list(task.parameters()), lambda: task.loss(backbone, (first, labels))
    pretext = build_pretext(settings(pretext=kind, projector_width=32, projector_output=16), backbone)
    return backbone, pretext.head_parameters(), lambda: pretext.loss(backbone, (first, second))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*pretext_names(), "classification"])
def test_a_loss_under_autocast_is_float32_and_near_the_exact_one(kind):
    backbone, head, loss = problem(kind)
    parameters = [*backbone.parameters(), *head]
    seen = []
    backbone.layer3.register_forward_hook(lambda module, images, activations: seen.append(activations.dtype))
    exact = loss()
    exact_gradient = nn.utils.parameters_to_vector(torch.autograd.grad(exact, parameters))
    with autocast("bfloat16", CPU):
        rounded = loss()
    gradients = torch.autograd.grad(rounded, parameters)
    assert set(seen) == {torch.float32, torch.bfloat16}
    assert rounded.dtype == torch.float32
    assert {gradient.dtype for gradient in gradients} == {torch.float32}
    # SimSiam's loss is a mean cosine, here near 0.
    assert rounded.item() == pytest.approx(exact.item(), rel=0.01, abs=1e-3)
    # bfloat16 keeps 8 bits: seven layers forth and back with batches of 32 turn the gradient by some 0.2 (measured).
    gradient = nn.utils.parameters_to_vector(gradients)
    assert 0.95 < F.cosine_similarity(gradient, exact_gradient, dim=0) < 1
    assert gradient.norm().item() == pytest.approx(exact_gradient.norm().item(), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["whole", "blocks"])
@pytest.mark.parametrize("stage", ["pretrain", "head", "bissl", "finetune"])
def test_steps_of_every_stage_run_in_bfloat16_and_curvature_never(tmp_path, stage, way, monkeypatch):
    write_start(tmp_path)
    seen = []
    forward = SmallConv.forward

    def noting(backbone, images):
        features = forward(backbone, images)
        if backbone.training or stage == "head":
            seen.append(features.dtype)
        return features

    monkeypatch.setattr(SmallConv, "forward", noting)
    run(order(tmp_path, (stage,), precision="bfloat16", lower_memory=way, head_epochs=1))
    # In bissl, float32 is that of the curvature.
    assert set(seen) == ({torch.bfloat16, torch.float32} if stage == "bissl" else {torch.bfloat16})


def test_similarities_statistics_and_scores_are_not_rounded():
    torch.manual_seed(0)
    embeddings = torch.randn(64, 16).bfloat16()
    views = torch.randn(2, 64, 16).bfloat16()
    task = ClassificationTask(16, 1000)
    with autocast("bfloat16", CPU):
        inside, scores = nt_xent(embeddings, 0.1), task(embeddings)
        judged, correlations = statistics(views)[0], cross_correlation(*views)
    assert torch.equal(inside, nt_xent(embeddings.float(), 0.1))
    assert torch.equal(judged, statistics(views.float())[0])
    assert torch.equal(correlations, cross_correlation(*views.float()))
    assert {found.dtype for found in (inside, scores, judged, correlations)} == {torch.float32}
    assert torch.equal(scores, task(embeddings.float()))


def test_cuda_multiplies_as_asked_for_and_as_before_afterwards():
    before = modes()
    for precision, mode in (("float32", "ieee"), ("tf32", "tf32"), ("bfloat16", "ieee")):
        with training_arithmetic(precision):
            assert modes() == (mode, mode)
            with exact_arithmetic():
                assert modes() == ("ieee", "ieee")
            assert modes() == (mode, mode)
        with pytest.raises(ZeroDivisionError), training_arithmetic(precision):
            raise ZeroDivisionError
        assert modes() == before


def test_curvature_is_exact_under_any_autocast():
    backbone, _, loss = problem("simclr")
    parameters = list(backbone.parameters())
    directions = [torch.randn_like(parameter) for parameter in parameters]

    def curvature():
        with exact_arithmetic(), frozen_statistics(backbone), LowerHessian(loss(), parameters) as H:
            return torch.cat([part.flatten() for part in (*H.gradient, *H.matvec(directions))])

    exact = curvature()
    with autocast("bfloat16", CPU):
        assert torch.equal(curvature(), exact)


def test_images_are_transformed_alike_inside_and_outside_of_autocast(tmp_path):
    trial = Trial(order(tmp_path, precision="bfloat16"), alone(CPU), Reports())
    with trial.data.pretext_batches("bissl", 16, 0) as batches:
        outside = next(batches)
    with trial.data.pretext_batches("bissl", 16, 0) as batches, trial.autocast():
        inside = next(batches)
        assert torch.is_autocast_enabled("cpu")
    for one, other in zip(inside, outside, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


@pytest.mark.slow
def test_a_whole_trial_in_bfloat16(tmp_path):
    exact, rounded = one_for_each(tmp_path, "precision", "float32", "bfloat16")
    rows = Reports()
    objective = run(rounded, reports=rows)["objective"]
    losses = [row[name] for row in rows for name in ("lower_loss", "upper_loss", "train_loss") if name in row]
    assert len(losses) > 4 and all(math.isfinite(value) for value in losses)
    assert objective == pytest.approx(run(exact)["objective"], abs=0.1)
    models = saved_models(rounded)
    assert {tensor.dtype for tensor in models.values()} == {torch.float32, torch.int64}
    with pytest.raises(AssertionError):
        assert_bit_equal(models, saved_models(exact))
