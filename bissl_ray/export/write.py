"""Writes an exported model and its card: both appear whole, and nothing is overwritten unasked."""

import io
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pyarrow as pa
import torch
from pyarrow.fs import FileType
from torch import Tensor

from bissl_ray.config.options import ModelFormat
from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.store import atomic_write, open_storage, reason


def without_options(out: str) -> str:
    """A path, or a URI without what follows its question mark."""
    return out.partition("?")[0] if "://" in out else out


def ending(out: str) -> str:
    """Of the file's name: ".pth"; "" where it has none."""
    return PurePosixPath(without_options(out)).suffix


def check_targets(out: str, format: ModelFormat, force: bool) -> None:
    """Make sure, before anything is written, that a model and its card can be written.

    Raises:
        BadInputError: the name has another ending than the format's, the folder is missing, a file is there already, or
            the safetensors package is not installed.
    """
    open_storage(out)
    if ending(out) != f".{format}":
        other = ", or another --format" if ending(out) in (".safetensors", ".pth") else ""
        raise BadInputError(f"--out {out}: expected a name that ends in .{format}{other}")
    check_places(out, card_path(out), force=force)
    if format == "safetensors":
        try:
            import safetensors  # noqa: F401
        except ImportError:
            raise BadInputError(
                "--format safetensors needs the safetensors package, which is not installed: "
                "pip install safetensors, or give --format pth"
            ) from None


def check_places(out: str, *beside: str, force: bool) -> None:
    """Make sure that files can be written: `out`, that a person named, and others beside it.

    Raises:
        BadInputError: the folder is missing, or a file is there already, or what no file replaces; or the storage does
            not answer.
    """
    if "://" not in out and not Path(out).parent.is_dir():
        raise BadInputError(f"--out {out}: there is no folder {Path(out).parent}; make it, or give another path")
    for path in (out, *beside):
        kind = _found(path)
        if kind == FileType.Unknown:
            raise BadInputError(f"--out {path} is no file that can be replaced (a device, say); give another path")
        if kind == FileType.Directory or (kind == FileType.File and not force):
            raise BadInputError(f"{path} is there already; give another --out, or --force to replace it")


def _found(path: str) -> FileType:
    """What is at a path or a URI."""
    filesystem, place = open_storage(path)
    try:
        return filesystem.get_file_info(place).type
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(
            f"--out {path} can't be looked at: {reason(error)}; check the address and the access"
        ) from None


def card_path(out: str) -> str:
    """Where the card of a model lies: beside it."""
    name = without_options(out)
    return f"{name.removesuffix(ending(out))}.md{out.removeprefix(name)}"


def write_model(
    out: str, format: ModelFormat, tensors: Mapping[str, Tensor], card: str, facts: Mapping[str, str]
) -> None:
    """Write a model, then its card.

    Args:
        out: the model's file, a path or a URI.
        format: safetensors, with the card and the facts in its header; or pth, a plain state dict.
        tensors: by name.
        card: Markdown.
        facts: further texts for the header.
    """
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if format == "safetensors":
        from safetensors.torch import save

        data = save(own, {"format": "pt", **facts, "card": card})
    else:
        buffer = io.BytesIO()
        torch.save(own, buffer)
        data = buffer.getvalue()
    for path, content in ((out, data), (card_path(out), card.encode())):
        write_out(path, content)


def write_out(path: str, content: bytes) -> None:
    """Write a file that a person named, whole or not at all.

    Raises:
        RunFailedError: it can't be written, for a full disk or the like; says why and what to do.
    """
    filesystem, place = open_storage(path)
    try:
        atomic_write(filesystem, place, content)
    except (pa.ArrowException, OSError) as error:
        raise RunFailedError(
            f"{path} can't be written ({reason(error)}), and nothing of it was: make room, or give another --out"
        ) from error
