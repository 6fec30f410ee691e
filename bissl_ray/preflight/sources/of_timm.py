"""Weights that timm publishes: where they are, timm knows."""

from typing import Any, Final

from bissl_ray.config.names import TIMM
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.preflight.sources.address import Hub, Timm, Web, parsed

_FILES: Final = ("model.safetensors", "pytorch_model.bin")
"""What repositories of timm's call them, the better first."""


def places_of(asked: Timm) -> list[Hub | Web]:
    """Where the weights may be: the first that has them does.

    Raises:
        BadInputError: timm is not installed, doesn't know the name, or has no such weights.
    """
    try:
        import timm
    except ImportError:
        raise BadInputError(
            f"{asked.shown} needs the timm package, which is not installed: pip install 'bissl-ray[timm]'"
        ) from None
    published: list[str] = timm.list_pretrained()
    if asked.name not in published:
        raise BadInputError(f"{asked.shown} {_what_there_is(asked.name, published)}")
    config: Any = timm.get_pretrained_cfg(asked.name)
    if not config.hf_hub_id:
        return [_place(config.url if isinstance(config.url, str) else config.url[0])]
    repo, _, revision = config.hf_hub_id.partition("@")
    files = (config.hf_hub_filename,) if config.hf_hub_filename else _FILES
    return [_place(f"hf://{repo}{f'@{revision}' if revision else ''}/{file}") for file in files]


def _place(address: str) -> Hub | Web:
    place = parsed(address)
    assert isinstance(place, (Hub, Web))
    return place


def _what_there_is(name: str, published: list[str]) -> str:
    model, _, tag = name.partition(".")
    tags = [each for each in published if each.partition(".")[0] == model]
    if not tags:
        known = [f"{TIMM}{each}" for each in published]
        return f"is no file here, and timm has no weights of that name{nearest(f'{TIMM}{name}', known)}"
    found = "names no weights" if not tag else f"names weights that timm doesn't have ({tag})"
    return f"{found}; of {model} there are: {', '.join(f'{TIMM}{each}' for each in tags)}"
