"""What every group of settings has in common."""

from pydantic import BaseModel, ConfigDict


class SettingsGroup(BaseModel):
    """Settings that one part of the code reads: no other names, no infinities, and nothing changes them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
