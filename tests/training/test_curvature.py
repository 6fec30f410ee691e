"""What the curvature settings build, in which arithmetic, and that trials run with it."""

import pytest
import torch

from bissl_ray.bilevel import BilevelTrainer, DivergedError, GaussNewton, Level, LowerHessian
from bissl_ray.config.settings import BilevelSettings
from bissl_ray.parallel import frozen_statistics
from bissl_ray.pretext import pretext_names
from bissl_ray.training.curvature import estimate_curvature_memory, exact_curvature
from bissl_ray.training.models import Models
from bissl_ray.training.precision import training_arithmetic
from tests.training.small_trial import Reports, order, run, settings, write_start

IMAGES = 12


@pytest.fixture(scope="module", params=pretext_names())
def models(request):
    torch.manual_seed(0)
    return Models.build(settings(pretext=request.param), torch.device("cpu"))


@pytest.fixture(scope="module")
def views():
    return tuple(torch.randn(2, IMAGES, 3, 8, 8, generator=torch.Generator().manual_seed(1)))


def product(operator):
    entries = sum(parameter.numel() for parameter in operator.params)
    return operator.flat_matvec(torch.linspace(-1, 1, entries))


def built(models, views, images=IMAGES, **changes):
    build = exact_curvature(settings(**changes), models, images)
    with frozen_statistics(models.lower, models.pretext), build(views) as operator:
        return product(operator), operator.loss


def expected(models, views, curvature):
    parameters = list(models.lower.parameters())
    with frozen_statistics(models.lower, models.pretext):
        if curvature == "hessian":
            operator = LowerHessian(models.pretext.loss(models.lower, views), parameters)
        else:
            outputs, targets = models.pretext.outputs(models.lower, views)
            operator = GaussNewton(outputs, lambda judged: models.pretext.criterion(judged, targets), parameters)
    return product(operator), operator.loss


def assert_close(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.norm()))


@pytest.mark.slow
@pytest.mark.parametrize("curvature", ["hessian", "gauss_newton"])
@pytest.mark.parametrize("products", ["graph", "recompute"])
def test_settings_choose_kind_batch_and_chunks(models, views, curvature, products):
    choice = {"curvature": curvature, "curvature_products": products}
    first = tuple(view[:8] for view in views)
    assert_close(built(models, views, 8, **choice), expected(models, first, curvature))
    halves = [expected(models, tuple(view[part] for view in views), curvature) for part in (slice(4), slice(4, 8))]
    means = [torch.stack(both).mean(0) for both in zip(*halves, strict=True)]
    assert_close(built(models, views, 8, curvature_chunks=2, **choice), means)
    assert (means[0] - expected(models, first, curvature)[0]).norm() > 0.1 * means[0].norm()


@pytest.mark.parametrize("products", ["graph", "recompute", "difference"])
def test_curvature_is_exact_whatever_the_arithmetic_around(models, views, products, monkeypatch):
    modes = []
    forward = models.lower.layer3.forward

    def noting(activations):
        modes.append((torch.backends.cuda.matmul.fp32_precision, torch.is_autocast_enabled("cpu")))
        result = forward(activations)
        if result.requires_grad:
            result.register_hook(lambda _: modes.append((torch.backends.cuda.matmul.fp32_precision, False)))
        return result

    exact = built(models, views, curvature_products=products)
    monkeypatch.setattr(models.lower.layer3, "forward", noting)
    with training_arithmetic("tf32"), torch.autocast("cpu", torch.bfloat16):
        rounded = built(models, views, curvature_products=products)
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert torch.is_autocast_enabled("cpu")
    assert all(torch.equal(one, other) for one, other in zip(exact, rounded, strict=True))
    assert len(modes) >= 3  # forward, backward, and backward of the product
    assert set(modes) == {("ieee", False)}


@pytest.mark.parametrize("products", ["graph", "recompute", "difference"])
def test_a_curvature_loss_that_is_no_number_ends_the_run(views, products):
    chosen = settings(pretext="byol", curvature_products=products)
    torch.manual_seed(0)
    models = Models.build(chosen, torch.device("cpu"), "classification", 10)
    trainer = BilevelTrainer(
        Level(
            models.lower,
            models.pretext,
            models.pretext.loss,
            curvature=exact_curvature(chosen, models, IMAGES),
        ),
        Level(models.upper, models.downstream, models.downstream.loss),
        BilevelSettings(lower_steps=1, upper_steps=1, lower_lr=0.01),
        0.1,
    )
    broken = (torch.full_like(views[0], float("nan")), views[1])
    labelled = (views[0], torch.arange(IMAGES) % 10)
    with pytest.raises(DivergedError, match="lower loss"):
        trainer.alternation(iter([views, broken]), iter([labelled]))


def test_a_trial_runs_on_gauss_newton_in_chunks_of_a_smaller_batch(tmp_path):
    write_start(tmp_path)
    rows = Reports()
    choice = {"curvature": "gauss_newton", "curvature_batch": 8, "curvature_chunks": 2, "recycled_products": 0}
    result = run(order(tmp_path, ("bissl",), **choice), reports=rows)
    assert result["hvps"] == 8  # two iterations for each of two steps, twice
    assert all(row["negative_curvature"] == 0 and row["ritz_min"] > 0 for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("pretext", pretext_names())
def test_memory_is_estimated_for_every_pretext_task(pretext):
    estimates = [
        estimate_curvature_memory(settings(pretext=pretext, lower_batch=64, image_size=32, curvature=curvature))
        for curvature in ("hessian", "gauss_newton")
    ]
    assert all(0 < estimate.held < estimate.peak for estimate in estimates)


@pytest.mark.slow
def test_memory_shrinks_with_recomputation_chunks_workers_batch_and_gauss_newton():
    held, peak = {}, {}
    for name, changes, workers in (
        ("graph", {}, 1),
        ("recompute", {"curvature_products": "recompute"}, 1),
        ("chunks", {"curvature_chunks": 4}, 1),
        ("workers", {}, 4),
        ("batch", {"curvature_batch": 16}, 1),
        ("gauss_newton", {"curvature": "gauss_newton"}, 1),
    ):
        before = torch.get_rng_state()
        estimate = estimate_curvature_memory(settings(lower_batch=64, image_size=32, **changes), workers)
        assert torch.equal(torch.get_rng_state(), before)
        held[name], peak[name] = estimate.held, estimate.peak
    assert (held["recompute"], held["chunks"]) == (0, 0)
    assert peak["recompute"] < peak["graph"]
    assert 3 < peak["recompute"] / peak["chunks"] < 5
    assert (held["workers"], peak["workers"]) == (held["batch"], peak["batch"])
    assert 3 < held["graph"] / held["batch"] < 5
    assert held["gauss_newton"] < 0.65 * held["graph"]
