"""Names of controls, as a person types them and as requests hold them."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from bissl_ray.config.refusal import RuleError, shown
from bissl_ray.controls import CONTROLS, PLAIN
from bissl_ray.errors import BadInputError, nearest


def _check(value: Any) -> Any:
    if isinstance(value, str) and value in CONTROLS:
        return value
    hint = nearest(value, CONTROLS) if isinstance(value, str) else ""
    raise RuleError(f"found {shown(value)}, expected one of {', '.join(CONTROLS)}{hint}")


ControlName = Annotated[str, BeforeValidator(_check)]


def controls_of(text: str) -> tuple[str, ...]:
    """Read `--control NAME,NAME`; plain fine-tuning, which is always there, may be among them.

    Returns:
        The names beside it, in the order of `CONTROLS`.

    Raises:
        BadInputError: there is no such control.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in CONTROLS:
            raise BadInputError(
                f"--control {text}: found {name!r}, expected names of {', '.join(CONTROLS)}, with commas between"
                f"{nearest(name, CONTROLS)}"
            )
    return tuple(name for name in CONTROLS if name in names and name != PLAIN)
