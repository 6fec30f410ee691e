"""A look at a spectrum: a few Lanczos steps, and what they are good for besides."""

import math
from typing import Final

from torch import Tensor

from bissl_ray.bilevel.solvers.known_products import SpectrumEstimate
from bissl_ray.bilevel.solvers.ritz import Lanczos
from bissl_ray.bilevel.solvers.system import LinearSystem

LANCZOS_STEPS: Final = 3
"""Enough for an eigenvalue that stands out, and no more products than a first solve would compute."""


def look_at_spectrum(
    system: LinearSystem, start: Tensor, steps: int
) -> tuple[SpectrumEstimate | None, list[tuple[Tensor, Tensor]]]:
    """Take Lanczos steps with the matrix of a system, in one synchronisation with the device.

    Args:
        system: its matrix, M + H, is looked at; nothing is left in `known`.
        start: a vector of norm 1, `[entries]`.
        steps: products that are computed, at least 1.

    Returns:
        The estimate, the same on all workers; None where a product was not finite. And the orthonormal vectors with
        their images, as many as are more than rounding noise.
    """
    lanczos = Lanczos(start)
    products: list[tuple[Tensor, Tensor]] = []
    rows: list[Tensor] = []
    for _ in range(steps):
        products.append((lanczos.vector, system.product(lanczos.vector)))
        rows += lanczos.advance(products[-1][1])
    numbers = system.on_host(*rows)
    for taken, (energy, rest) in enumerate(zip(numbers[::2], numbers[1::2], strict=True), start=1):
        if not (math.isfinite(energy) and math.isfinite(rest)):
            return None, products
        lanczos.note(energy, rest)
        # What would be computed after an invariant subspace is noise.
        if lanczos.exhausted(system.close_enough(0.0)):
            del products[taken:]
            break
    values = lanczos.values()
    return SpectrumEstimate(values[0], values[-1], lanczos.rest), products
