"""The content of a file of ours that holds tensors, or why it is refused: torch itself looks at no checksum."""

import io
import pickle
import zipfile
from typing import Any

import torch

from bissl_ray.errors import RunFailedError


class DamagedTensorsError(RunFailedError):
    """A file of tensors is not as it was written; the message names it, says why and what to do."""


def tensors_of(content: bytes, name: str, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `torch.save` wrote. Only tensors and plain values are unpickled.

    Every part of the file has a CRC-32, written by torch and read by nobody: one flipped bit of a weight would be
    loaded as another weight.

    Args:
        content: of the file, whole.
        name: of the file, for error lines.
        device: where the tensors go.

    Raises:
        DamagedTensorsError: it is cut, changed, or none of ours.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            changed = archive.testzip()
        if changed is not None:
            raise zipfile.BadZipFile(f"{changed.partition('/')[2]} is not what was written, by its checksum")
        loaded: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        why = " ".join(str(error).split())[:150]
        raise DamagedTensorsError(f"{name} is damaged ({why}): put it back from a copy of yours") from error
    return loaded
