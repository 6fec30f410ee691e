"""The published BiSSL files: ..._backbone_id-X.pth, and beside it ..._head_id-X.pth and ..._config_id-X.json."""

import json
import re
from pathlib import Path
from typing import Any

from bissl_ray.errors import BadInputError

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
