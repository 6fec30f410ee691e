"""The ways of solving an alternation's linear systems that `bench hypergradient` compares."""

from collections.abc import Callable
from dataclasses import dataclass

from bissl_ray.benchmarks.problem import Problem
from bissl_ray.bilevel import CurvatureOperator, DifferencedCurvature, GaussNewton, RecomputedHessian
from bissl_ray.config.settings import SolverSettings

ITERATIONS = 5
RECYCLED = SolverSettings.model_fields["recycled_products"].default


@dataclass(frozen=True)
class Way:
    """One way of solving the systems of an alternation.

    Attributes:
        name: in words.
        curvature: builds the operator.
        method: as of `solve`.
        stops: at the tolerance, not only after `ITERATIONS`.
        recycles: products from one solve to the next.
        compiles: batch norm's passes.
        iterations: of each solve.
        per_product: what a product costs, in gradients of the loss on the whole batch, by its convolutions: a gradient
            has 3 times a forward pass's, a Hessian's product 6, a Gauss-Newton matrix's 4 (docs/hypergradient.md).
        per_graph: what comes before the products of an alternation, likewise.
    """

    name: str
    curvature: Callable[[], CurvatureOperator]
    method: str = "cg"
    stops: bool = True
    recycles: bool = True
    compiles: bool = False
    iterations: int = ITERATIONS
    per_product: float = 2.0
    per_graph: float = 1.0


def ways(problem: Problem, torchs_layers: bool, compiled: bool) -> list[Way]:
    """What is measured, in order (collective); the first row is what the others are compared with.

    Args:
        problem: the linear systems.
        torchs_layers: run the first rows with torch's own layers (one worker only: torch's synchronised batch norm has
            no second derivative).
        compiled: with a row for compiled batch norm.
    """
    plain = problem.with_torchs_layers() if torchs_layers else problem

    def recompute() -> CurvatureOperator:
        return RecomputedHessian([plain.loss], plain.params)

    def gauss_newton() -> CurvatureOperator:
        return GaussNewton(*problem.judged(), problem.params)

    def differenced() -> CurvatureOperator:
        return DifferencedCurvature([displaced.loss], displaced.params)

    ratios = problem.trust_ratios()

    def adapted() -> CurvatureOperator:
        operator = problem.hessian()
        operator.adaptation = ratios
        return operator

    displaced = problem.apart()
    whole, half = problem.hessian, problem.half().hessian
    own = [Way("+ own second derivatives", whole, stops=False, recycles=False)] if torchs_layers else []
    return [
        Way(
            f"recompute, layer-wise CG ({ITERATIONS})",
            recompute,
            "layerwise_cg",
            stops=False,
            recycles=False,
            per_product=3.0,
        ),
        Way(f"recompute, CG ({ITERATIONS})", recompute, stops=False, recycles=False, per_product=3.0),
        Way(f"one graph, CG ({ITERATIONS})", plain.hessian, stops=False, recycles=False),
        *own,
        Way("+ tolerance", whole, recycles=False),
        Way("+ recycling (bissl-ray)", whole),
        *([Way("  its batch norm compiled", whole, compiles=True)] if compiled else []),
        Way("  its MINRES", whole, "minres"),
        Way(f"  its Nyström ({ITERATIONS})", whole, "nystrom", stops=False),
        Way("  on half the batch", half, per_product=1.0, per_graph=0.5),
        Way("  Gauss-Newton", gauss_newton, per_product=4 / 3),
        Way("AmIGO: CG (1), carried on", whole, stops=False, iterations=1),
        Way("SOBA (1)", whole, "soba", stops=False, iterations=1),
        Way(f"unrolled ({ITERATIONS})", whole, "unrolled", stops=False),
        Way("T1-T2: unrolled (1)", whole, "unrolled", stops=False, iterations=1),
        # Of differences, what comes before the products is a forward pass; f2sa takes a gradient there too.
        Way("  products by differences", differenced, per_graph=1 / 3),
        Way(f"F2SA ({ITERATIONS})", differenced, "f2sa", stops=False, per_product=1.0, per_graph=4 / 3),
        # Its trust ratios are those of the lower level's last step, which is taken anyhow.
        Way("SAMA", adapted, "sama", stops=False, recycles=False, per_graph=0.0),
        Way("identity", whole, "identity", stops=False, recycles=False, per_graph=0.0),
    ]
