"""What every group of settings has in common."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, field_validator

from bissl_ray.config.refusal import RuleError, shown

_EXACT: Final = 2**53


def check_exact(value: object) -> None:
    """Refuse a whole number that other programs, and columns of real numbers, would not keep (raises RuleError)."""
    if isinstance(value, int) and abs(value) > _EXACT:
        raise RuleError(f"found {shown(value)}, expected one that a real number holds exactly, up to {_EXACT}")


class SettingsGroup(BaseModel):
    """Settings that one part of the code reads: no other names, no infinities, and nothing changes them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        check_exact(value)
        return value
