"""The content of a file of ours that holds tensors, or why it is refused: torch itself looks at no checksum."""

import io
import warnings
import zipfile
from typing import Any

import torch

from bissl_ray.errors import RunFailedError
from bissl_ray.models.other_files import refuse_bomb


class DamagedTensorsError(RunFailedError):
    """A file of tensors is not as it was written; the message names it, says why and what to do."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"{name} is damaged, or another program's ({why}): put it back from a copy of yours, or remove it to begin "
            "anew what needs it"
        )
        self.why = why


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
            refuse_bomb(name, len(content), archive.infolist())
            changed = archive.testzip()
        if changed is not None:
            raise zipfile.BadZipFile(f"{changed.partition('/')[2]} is not what was written, by its checksum")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sparse tensors, which no file of ours has
            loaded = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
        if not isinstance(loaded, dict):
            raise TypeError(f"it holds a {type(loaded).__name__}")
    except Exception as error:  # torch's, zipfile's, pickle's or ours, as the bytes fall
        why = " ".join(str(error).split())[:150] or type(error).__name__
        raise DamagedTensorsError(name, why) from error
    return loaded
