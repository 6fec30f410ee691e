"""Reads .pth, .pt and .safetensors files by their content; never runs anything that they name."""

import json
import re
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch

from bissl_ray.errors import BadInputError
from bissl_ray.models.inert import is_sharded, read_inert
from bissl_ray.models.odd_tensors import NotPlainError
from bissl_ray.models.other_files import refuse_folder, refuse_other, refuse_other_zip
from bissl_ray.models.plain_content import ShardedError, plain_content, printable
from bissl_ray.signatures import BEGINNING, kind_of_bytes

_TORCH_OWN = ("torch.nn.", "torchvision.", "builtins.", "__builtin__.", "collections.")
_EXAMPLES = 3


class TensorFile(NamedTuple):
    """What a file holds."""

    content: Any
    """Nested dicts, with tensors on the CPU somewhere."""
    note: str | None = None
    """What of it was left unread."""


def read_tensor_file(source: Path) -> TensorFile:
    """What a file holds, its tensors on the CPU.

    Raises:
        BadInputError: there is no such file; it is empty, damaged, of another kind, or needs a package that is not
            installed; or its tensors are parts that a distributed run kept on its processes.
    """
    if source.is_dir():
        refuse_folder(source)
    if not source.is_file():
        raise BadInputError(
            f"no checkpoint file at {source}; expected a .pth, .pt or .safetensors file: check the path"
        )
    if source.stat().st_size == 0:
        raise BadInputError(f"{source} is empty; expected a checkpoint: fetch or write it again")
    with source.open("rb") as file:
        start = file.read(BEGINNING)
    kind = kind_of_bytes(start)
    refuse_other(source, kind, start)
    key = None if kind is None else kind.key
    note = None
    if key == "safetensors" or (key is None and source.suffix == ".safetensors"):
        content: Any = _read_safetensors(source)
    else:
        damage = refuse_other_zip(source) if key == "zip" else None
        content, names = _read_torch(source)
        note = "; ".join(filter(None, (_left_unread(names), damage))) or None
    try:
        return TensorFile(plain_content(content), note)
    except ShardedError:
        raise _sharded(source) from None
    except NotPlainError as error:
        raise not_plain(source, error) from None


def not_plain(source: Path, error: NotPlainError) -> BadInputError:
    """The line of a file whose tensors can be no weights."""
    return BadInputError(f"{source} holds {error}; {error.remedy}")


def _sharded(source: Path) -> BadInputError:
    return BadInputError(
        f"{source} holds the parts of its tensors that one process of a distributed run kept; save the whole ones: "
        "torch.distributed.checkpoint.state_dict.get_model_state_dict(model, "
        "options=StateDictOptions(full_state_dict=True, cpu_offload=True))"
    )


def _read_torch(source: Path) -> tuple[Any, tuple[str, ...]]:
    """The content of a file of torch.save, and the names in it that stayed inert."""
    names: tuple[str, ...] = ()
    try:
        with warnings.catch_warnings():
            # Of pickles that torch did not write, and of the sources of classes, which nobody wants.
            warnings.simplefilter("ignore")
            try:
                # A path would be read by its suffix.
                with source.open("rb") as file:
                    return torch.load(file, map_location="cpu", weights_only=True), ()
            except UnpicklingError as error:
                if "GLOBAL" not in str(error) and "Unsupported" not in str(error):
                    raise
                content, names = read_inert(source)
    except Exception as error:  # torch raises OSError, KeyError, EOFError or RuntimeError, as the bytes fall
        raise BadInputError(
            f"{source} is not a readable torch file ({type(error).__name__}): it is cut short, or was not written by "
            "torch.save; fetch it again, or write the tensors with torch.save(model.state_dict(), FILE)"
        ) from error
    if is_sharded(names):
        raise _sharded(source)
    return content, names


def _left_unread(names: tuple[str, ...]) -> str | None:
    foreign = [name for name in names if not name.startswith(_TORCH_OWN)] or list(names)
    if not foreign:
        return None
    more = ", ..." if len(foreign) > _EXAMPLES else ""
    return f"left unread, and nothing of it was run: pickled {', '.join(map(printable, foreign[:_EXAMPLES]))}{more}"


def _read_safetensors(source: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise BadInputError(
            f"{source} needs the safetensors package, which is not installed: pip install safetensors"
        ) from None
    try:
        return load_file(source, device="cpu")
    except Exception as error:  # of its own, torch's or Python's, as the header says
        raise BadInputError(
            f"{source} is not a readable safetensors file ({printable(str(error))}), it may be cut short: fetch or "
            "write it again"
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
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{source} is not JSON ({error}); fetch it again, or move it away to go without") from None
    return settings if isinstance(settings, dict) else {}
