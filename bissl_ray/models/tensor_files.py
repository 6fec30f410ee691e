"""Reads .pth, .pt and .safetensors files; never unpickles anything but tensors and plain values."""

import json
import re
import shlex
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from bissl_ray.errors import BadInputError

_KEEP = (
    'import torch; load = lambda path: torch.load(path, map_location="cpu", weights_only=False); '
    "keep = lambda c: {k: keep(v) for k, v in c.items() if isinstance(v, (dict, torch.Tensor, torch.nn.Module))} "
    "if isinstance(c, dict) else keep(c.state_dict()) if isinstance(c, torch.nn.Module) else c; "
)
"""Python that reads a file with all that is pickled in it, and keeps its tensors under their names."""


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
        with warnings.catch_warnings():
            # Of pickles that torch did not write; they are refused below.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
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
            f"{source} is not a readable torch file ({type(error).__name__}): it is cut short, or was not written by "
            "torch.save; fetch it again, or write the tensors with torch.save(model.state_dict(), FILE)"
        ) from error


def _how_to_extract(source: Path) -> str:
    """A command that writes the tensors of a file, and nothing else of it, wherever in it they lie."""
    # Double quotes inside, so that the shell's single ones stand around the whole.
    paths = [json.dumps(str(path)) for path in (source, source.with_name(f"{source.stem}-tensors.pth"))]
    return shlex.join(["python", "-c", f"{_KEEP}torch.save(keep(load({paths[0]})), {paths[1]})"])


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


_BACKBONE = re.compile(r"(?<=_)(lower_|upper_)?backbone(?=_id-)")


def head_name(name: str) -> str | None:
    """What the file of the pretext head is called beside a backbone's; None for a name of another kind."""
    return _BACKBONE.sub(r"\1head", name) if _BACKBONE.search(name) else None


def settings_name(name: str) -> str | None:
    """What the file of the settings is called beside a backbone's; None for a name of another kind."""
    return _BACKBONE.sub("config", Path(name).stem) + ".json" if _BACKBONE.search(name) else None


def beside(source: Path, name: str | None) -> Path | None:
    """The file of a name in the same folder, if it is there."""
    path = None if name is None else source.with_name(name)
    return path if path is not None and path.is_file() else None


def read_settings(source: Path) -> dict[str, Any]:
    """What a backbone was trained with, as it was published.

    Raises:
        BadInputError: the file is not JSON.
    """
    try:
        settings = json.loads(source.read_text())
    except ValueError as error:
        raise BadInputError(f"{source} is not JSON ({error}); fetch it again, or move it away to go without") from None
    return settings if isinstance(settings, dict) else {}
