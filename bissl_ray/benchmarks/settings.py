"""Settings of a benchmark, refused in the words of its flags."""

from typing import Any, Final

from pydantic import ValidationError

from bissl_ray.config.refusal import refusal
from bissl_ray.config.settings import Settings
from bissl_ray.config.yaml_document import KeyPath

_FLAGS: Final = {"image_size": "--size", "detection_side": "--size", "detection_side_low": "--size"}


def bench_settings(**values: Any) -> Settings:
    """Settings with these values (raises BadInputError: one of them is none that a trial may have)."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise refusal(error, _place, lambda _: Settings.model_fields) from None


def _place(path: KeyPath) -> str:
    flag = _FLAGS.get(str(path[0])) if path else None
    return "bench" if flag is None else f"bench {flag}"
