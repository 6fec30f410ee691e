"""What the settings `pretext` and `solver` can name, and where the code of each is: one line a name.

They stand here because a search space is checked without torch. A place is "module:attribute", looked up when the name
is first used, so that a name of your own is one more line here, or an entry of a plugin's, whose code may be anywhere.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from bissl_ray.config.refusal import RuleError, shown
from bissl_ray.errors import nearest
from bissl_ray.plugins import load_plugins

PRETEXTS: Final[dict[str, str]] = {
    "simclr": "bissl_ray.pretext.simclr:SimCLR",
    "byol": "bissl_ray.pretext.byol:BYOL",
    "vicreg": "bissl_ray.pretext.vicreg:VICReg",
    "barlow_twins": "bissl_ray.pretext.barlow_twins:BarlowTwins",
    "simsiam": "bissl_ray.pretext.simsiam:SimSiam",
}
"""Subclasses of `bissl_ray.pretext.PretextTask`."""

SOLVERS: Final[dict[str, str]] = {
    "cg": "bissl_ray.bilevel.solvers.cg:conjugate_gradient",
    "layerwise_cg": "bissl_ray.bilevel.solvers.layerwise_cg:layerwise_conjugate_gradient",
    "minres": "bissl_ray.bilevel.solvers.minres:minimal_residual",
    "neumann": "bissl_ray.bilevel.solvers.neumann:neumann_series",
    "nystrom": "bissl_ray.bilevel.solvers.nystrom:nystrom",
    "identity": "bissl_ray.bilevel.solvers.identity:identity",
}
"""Functions of the type `bissl_ray.bilevel.solvers.Solver`."""


def _check(value: Any, places: Mapping[str, str]) -> Any:
    """Return a name that is in the table; raise RuleError for whatever else."""
    if isinstance(value, str) and value not in places:
        load_plugins()
    if isinstance(value, str) and value in places:
        return value
    *others, last = map(repr, places)
    hint = nearest(value, places) if isinstance(value, str) else ""
    raise RuleError(f"found {shown(value)}, expected {', '.join(others)} or {last}{hint}")


# Before pydantic's own check, so that a number or a list is told the names too.
PretextName = Annotated[str, BeforeValidator(lambda value: _check(value, PRETEXTS))]
SolverName = Annotated[str, BeforeValidator(lambda value: _check(value, SOLVERS))]
