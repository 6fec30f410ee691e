"""SimSiam: the published formula, and which of the matrices that could be called its Hessian is taken."""

import pytest
import torch

from bissl_ray.bilevel import LowerHessian
from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.pretext import build_pretext


@pytest.fixture
def problem():
    torch.manual_seed(0)
    backbone = build_backbone("smallconv").double()
    settings = Settings(backbone="smallconv", pretext="simsiam", projector_width=12, projector_output=8)
    return backbone, build_pretext(settings, backbone), tuple(torch.randn(2, 8, 3, 8, 8, dtype=torch.float64))


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def test_loss_is_the_published_formula(problem):
    backbone, task, views = problem
    embeddings = [task.projector(backbone(view)) for view in views]
    predictions = [task.predictor(embedding) for embedding in embeddings]
    total = 0.0
    for one, other in ((0, 1), (1, 0)):
        for p, z in zip(predictions[one], embeddings[other], strict=True):
            total -= (p @ z / (p.norm() * z.norm())).item()
    assert task.loss(backbone, views).item() == pytest.approx(total / 16, rel=1e-12)


def test_gradient_is_that_of_the_cosine_with_the_other_view_detached(problem):
    backbone, task, views = problem
    parameters = [*backbone.parameters(), *task.head_parameters()]
    embeddings = [task.projector(backbone(view)) for view in views]
    p, z = [task.predictor(embedding) for embedding in embeddings], [embedding.detach() for embedding in embeddings]
    similarity = torch.nn.CosineSimilarity(dim=1)
    expected = -(similarity(p[0], z[1]).mean() + similarity(p[1], z[0]).mean()) / 2
    found = flat(torch.autograd.grad(task.loss(backbone, views), parameters))
    torch.testing.assert_close(found, flat(torch.autograd.grad(expected, parameters)), rtol=0, atol=1e-12)


def test_the_hessian_holds_the_targets_fixed_and_is_symmetric(problem):
    """The Jacobian of the steps' gradient, with targets that move, is another matrix, and has no symmetry."""
    backbone, task, views = problem
    theta = list(backbone.parameters())
    start = torch.nn.utils.parameters_to_vector(theta).detach()
    u, v = torch.randn(2, len(start), dtype=torch.float64)
    fixed = task.outputs(backbone, views)[1]
    step = 1e-6

    def slope(direction, targets_move):
        gradients = []
        for distance in (step, -step):
            torch.nn.utils.vector_to_parameters(start + distance * direction, theta)
            outputs, targets = task.outputs(backbone, views)
            loss = task.criterion(outputs, targets if targets_move else fixed)
            gradients.append(flat(torch.autograd.grad(loss, theta)))
        torch.nn.utils.vector_to_parameters(start, theta)
        return (gradients[0] - gradients[1]) / (2 * step)

    H = LowerHessian(task.loss(backbone, views), theta)
    of_u, of_v = H.flat_matvec(u), H.flat_matvec(v)
    assert float((slope(u, targets_move=False) - of_u).norm() / of_u.norm()) < 1e-6
    assert float(v @ of_u) == pytest.approx(float(u @ of_v), rel=1e-9)
    moving_u, moving_v = slope(u, targets_move=True), slope(v, targets_move=True)
    assert float((moving_u - of_u).norm() / of_u.norm()) > 0.1
    assert abs(float(v @ moving_u - u @ moving_v)) > 0.01 * abs(float(v @ moving_u))


def test_the_bias_before_the_last_batch_norm_is_there_and_stands_still(problem):
    backbone, task, views = problem
    bias = task.projector[6].bias
    assert bias not in set(task.head_parameters())
    assert len(task.head_parameters()) == len(list(task.parameters())) - 1
    before = task.loss(backbone, views).item()
    with torch.no_grad():
        bias += 3
    assert task.loss(backbone, views).item() == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize(("width", "bottleneck"), [(64, 16), (8, 2), (2, 1)])
def test_the_predictor_narrows_to_a_quarter(width, bottleneck):
    settings = Settings(backbone="smallconv", pretext="simsiam", projector_width=8, projector_output=width)
    task = build_pretext(settings, build_backbone("smallconv"))
    assert task.predictor[0].weight.shape == (bottleneck, width)
    assert task.predictor[3].weight.shape == (width, bottleneck)
