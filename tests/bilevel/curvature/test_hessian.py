import pytest
import torch

from bissl_ray.bilevel import LowerHessian
from tests.bilevel.quadratic import SHAPES, hessian_of, pieces, rhs, symmetric, whole


def test_products_and_gradient_of_a_quadratic():
    matrix = symmetric(range(1, 9))
    H = hessian_of(matrix)
    torch.testing.assert_close(whole(H.matvec(pieces(rhs()))), matrix @ rhs())
    torch.testing.assert_close(whole(H.gradient), matrix.sum(1) + 1)
    assert not any(part.requires_grad for part in H.gradient)
    H.matvec(pieces(rhs()))
    assert H.products == 2


def test_a_part_of_the_loss_that_is_linear_has_zero_rows():
    a, b = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    H = LowerHessian((a**3).sum() + b.sum(), [a, b])
    product = H.matvec((torch.ones(2), torch.ones(3)))
    assert product[0].tolist() == [6.0, 6.0]
    assert product[1].tolist() == [0.0, 0.0, 0.0]
    only_linear = LowerHessian(b.sum(), [b])
    assert only_linear.matvec((torch.ones(3),))[0].tolist() == [0.0, 0.0, 0.0]


def test_close_frees_the_graph():
    with hessian_of(symmetric(range(1, 9))) as H:
        H.matvec(pieces(rhs()))
    with pytest.raises(RuntimeError, match="freed"):
        H.matvec(pieces(rhs()))


def test_bad_losses_and_vectors_are_named():
    params = [torch.ones(shape, requires_grad=True) for shape in SHAPES]
    used = sum((parameter**2).sum() for parameter in params[:2])
    with pytest.raises(ValueError, match=r"does not use parameter 2 of shape \(1,\)"):
        LowerHessian(used, params)
    with pytest.raises(ValueError, match="no graph"):
        LowerHessian(used.detach(), params)
    with pytest.raises(ValueError, match=r"shape \(3,\): expected a scalar"):
        LowerHessian(params[0] ** 2, params[:1])
    H = LowerHessian(used, params[:2])
    with pytest.raises(ValueError, match="v has 1 tensors: expected 2"):
        H.matvec((torch.ones(3),))
    with pytest.raises(ValueError, match=r"v\[1\] has shape \(4,\): expected \(2, 2\)"):
        H.matvec((torch.ones(3), torch.ones(4)))
