"""Reads .pth, .pt and .safetensors files; never unpickles anything but tensors and plain values."""

import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from bissl_ray.errors import BadInputError


def read_tensor_file(source: Path) -> Any:
    """What a file holds, its tensors on the CPU.

    Raises:
        BadInputError: the file is missing, empty or damaged, holds anything but tensors and plain values, or needs a
            package that is not installed.
    """
    if not source.is_file():
        raise BadInputError(
            f"no checkpoint file at {source}; expected a .pth, .pt or .safetensors file: check the path"
        )
    if source.stat().st_size == 0:
        raise BadInputError(f"{source} is empty; expected a checkpoint: fetch or write it again")
    return _read_safetensors(source) if source.suffix == ".safetensors" else _read_torch(source)


def _read_torch(source: Path) -> Any:
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises OSError, KeyError, EOFError or RuntimeError, as the bytes fall
        foreign = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, UnpicklingError) else None
        if foreign:
            raise BadInputError(
                f"{source} holds a pickled {foreign.group(1)}; only tensors and plain values are ever "
                "unpickled. If you trust who made it, keep its tensors alone and give that file: "
                f"{_how_to_extract(source)}"
            ) from None
        raise BadInputError(
            f"{source} is not a readable torch file ({type(error).__name__}), it may be cut short: "
            "fetch or write it again"
        ) from error


def _how_to_extract(source: Path) -> str:
    """A command that writes the state dict of a file of Lightning, DINO and the like, where it usually lies."""
    kept = source.with_name(f"{source.stem}-tensors.pth")
    return (
        f"python -c \"import torch; c = torch.load({str(source)!r}, map_location='cpu', weights_only=False); "
        "torch.save(next((c[k] for k in ('state_dict', 'model', 'teacher') if k in c), c), "
        f'{str(kept)!r})"'
    )


def _read_safetensors(source: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise BadInputError(
            f"{source} needs the safetensors package, which is not installed: pip install safetensors"
        ) from None
    try:
        return load_file(source, device="cpu")
    except SafetensorError:
        raise BadInputError(
            f"{source} is not a readable safetensors file, it may be cut short: fetch or write it again"
        ) from None
