"""A low-rank picture of H from a few products, inverted in closed form."""

import math

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport
from bissl_ray.parallel import copy_from_first_worker

_SEED = 20101
_ENTRIES_AT_ONCE = 1 << 16


def nystrom(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:
    """(M + H′)⁻¹ v with H′ the Nyström approximation of H (Hataya and Yamada 2023, for hypergradients).

    From vectors W and Y = H W, H′ = Y (Wᵀ Y)⁺ Yᵀ, which agrees with H on W. W is what `system.known` holds, filled up
    to `iterations` by random vectors, one product each: from the second solve of an alternation on, there is nothing to
    fill up. The inverse is taken by the Woodbury identity, and one more product measures the true residual, so the
    solution joins the known vectors, and H′ is right on it in later solves. `tolerance` doesn't matter.

    For a positive semi-definite H, 0 ⪯ H′ ⪯ H, and with E = H − H′ and m the smallest entry of M the error of the
    inverse is at most ‖E‖ / (m (m + ‖E‖)); for k Gaussian vectors the expectation of ‖E‖ is at most
    (1 + 2r / (p − 1)) λᵣ₊₁ + 2e²k / (p² − 1) Σ_{j>r} λⱼ, with any r + p = k, p ≥ 2 (Frangella, Tropp and Udell 2023).
    Where H has negative eigenvalues nothing is promised: only the positive part of the core Wᵀ Y is kept, and the
    residual tells how good the answer is.
    """
    pairs = list(zip(system.known.vectors, system.known.images, strict=True))
    report = SolveReport("iterations", residuals=[1.0])
    for _ in range(iterations - len(pairs)):
        vector = _random_vector(system)
        pairs.append((vector, system.product(vector)))
        system.known.add(*pairs[-1])
        report.products += 1
    coefficients = _coefficients(system, pairs, report)
    if coefficients is None:
        report.stopped_because = "non_finite"
        return Outcome(torch.zeros_like(system.rhs), system.rhs, report)
    # Y c = (A W) c − M W c, without the vectors Y.
    x, shift = system.rhs.clone(), torch.zeros_like(system.rhs)
    for coefficient, (vector, image) in zip(coefficients, pairs, strict=True):
        x.sub_(image, alpha=coefficient)
        shift.add_(vector, alpha=coefficient)
    x = x.div_(system.diagonal).add_(shift)
    image = system.product(x)
    report.products += 1
    residual = system.rhs - image
    report.residuals.append(system.norm(residual))
    if math.isfinite(report.residuals[-1]):
        system.known.add(x, image)
    if report.residuals[-1] <= system.close_enough(tolerance):
        report.stopped_because = "tolerance"
    return Outcome(x, residual, report)


def _random_vector(system: LinearSystem) -> Tensor:
    """A random vector of norm 1, the same on all workers and in every run."""
    like = system.rhs
    generator = torch.Generator(like.device).manual_seed(_SEED + system.curvature.products)
    vector = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
    vector /= torch.linalg.vector_norm(vector)
    # Unlike devices may draw unlike numbers from one seed.
    copy_from_first_worker([vector], system.curvature.group)
    return vector


def _coefficients(system: LinearSystem, pairs: list[tuple[Tensor, Tensor]], report: SolveReport) -> list[float] | None:
    """c with (M + H′)⁻¹ v = M⁻¹ (v − Y c), and the spectrum seen in the span of W into the report.

    Woodbury: H′ = B Bᵀ with B = Y F gives c = F (I + Bᵀ M⁻¹ B)⁻¹ Bᵀ M⁻¹ v. F makes W orthonormal, then WᵀY diagonal,
    and leaves out what is dependent, not positive, or rounding noise. None where a product is not finite.
    """
    gram, energies, core, norms, moments = _inner_products(system, pairs)
    if not all(bool(matrix.isfinite().all()) for matrix in (gram, energies, core, norms, moments)):
        return None
    rounding = system.close_enough(0.0)
    scale = gram.diagonal().rsqrt()
    values, basis = torch.linalg.eigh(gram * scale * scale[:, None])
    kept = values > rounding * values[-1]
    orthonormal = scale[:, None] * basis[:, kept] * values[kept].rsqrt()
    ritz = torch.linalg.eigvalsh(orthonormal.T @ energies @ orthonormal).tolist()
    report.add_ritz_values(tuple(ritz))
    report.negative_curvature = sum(value <= 0 for value in ritz)
    values, basis = torch.linalg.eigh(orthonormal.T @ core @ orthonormal)
    kept = values > rounding * max(map(abs, ritz))
    factor = orthonormal @ basis[:, kept] * values[kept].rsqrt()
    matrix = factor.T @ norms @ factor
    matrix += torch.eye(len(matrix), dtype=matrix.dtype)
    solution: list[float] = (factor @ torch.linalg.solve(matrix, factor.T @ moments)).tolist()
    return solution


def _inner_products(system: LinearSystem, pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """WᵀW, WᵀAW, WᵀY, YᵀM⁻¹Y and YᵀM⁻¹v, on the host, in one synchronisation.

    In double precision, a stretch of entries at a time: in TF32, or in float32 where M is large beside H, too little of
    them would be left.
    """
    totals: list[Tensor] = []
    for start in range(0, len(system.rhs), _ENTRIES_AT_ONCE):
        part = slice(start, start + _ENTRIES_AT_ONCE)
        vectors = torch.stack([vector[part] for vector, _ in pairs]).double()
        images = torch.stack([image[part] for _, image in pairs]).double()
        diagonal = system.diagonal if system.diagonal.dim() == 0 else system.diagonal[part]
        products = images - diagonal * vectors
        scaled = products / diagonal
        terms = [
            vectors @ vectors.T,
            vectors @ images.T,
            vectors @ products.T,
            products @ scaled.T,
            scaled @ system.rhs[part].double(),
        ]
        totals = [total.add_(term) for total, term in zip(totals, terms, strict=True)] if totals else terms
    numbers = torch.tensor(system.on_host(*torch.cat([total.reshape(-1) for total in totals])), dtype=torch.float64)
    size = len(pairs)
    matrices = numbers[:-size].view(4, size, size)
    return [*((matrices + matrices.mT) / 2), numbers[-size:]]
