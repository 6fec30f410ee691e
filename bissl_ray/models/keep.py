"""Keeps one of several networks of a checkpoint in a file of its own: `python -m bissl_ray.models.keep FILE PREFIX`."""

import shlex
import sys
from pathlib import Path

import torch

from bissl_ray.errors import BadInputError
from bissl_ray.models.layouts import named_tensors, trunks
from bissl_ray.models.odd_tensors import NotPlainError, refuse_odd
from bissl_ray.models.tensor_files import not_plain, read_tensor_file


def how_to_keep(source: Path, prefix: str) -> str:
    """The command that keeps the network of a prefix."""
    return shlex.join([sys.executable, "-m", "bissl_ray.models.keep", str(source), prefix.removesuffix(".")])


def keep(source: Path, prefix: str) -> Path:
    """Write the tensors whose names begin so, without that, into a file beside the checkpoint.

    Args:
        source: the checkpoint.
        prefix: without its last dot; "" for the network that has none.

    Returns:
        The new file.

    Raises:
        BadInputError: the checkpoint can't be read, or no name begins so.
    """
    beginning = f"{prefix}." if prefix else ""
    found = named_tensors(read_tensor_file(source).content)
    # Other networks, also such as lie under the same beginning.
    others = tuple(other for other in trunks(found) if other != beginning and other.startswith(beginning))
    kept = {
        name.removeprefix(beginning): tensor
        for name, tensor in found.items()
        if name.startswith(beginning) and not name.startswith(others)
    }
    try:
        refuse_odd(kept)
    except NotPlainError as error:
        raise not_plain(source, error) from None
    if not kept:
        raise BadInputError(f"{source} has no tensor whose name begins with {beginning}")
    target = source.with_name(f"{source.stem}-{prefix.replace('/', '-') or 'main'}.pth")
    torch.save(kept, target)
    return target


if __name__ == "__main__":
    try:
        written = keep(Path(sys.argv[1]), sys.argv[2])
    except BadInputError as error:
        sys.exit(f"bissl-ray: {error}")
    sys.stdout.write(f"{written}\n")
