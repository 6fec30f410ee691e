"""Where it is said: the environment, the nearest bissl-ray.toml, the user's own file; read in this order."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bissl_ray.config.said_once.keys import KEYS, is_of_one_command, why_no_key
from bissl_ray.config.said_once.layers import Layer, Said, SaidOnce
from bissl_ray.config.said_once.toml_file import read_file
from bissl_ray.config.said_once.values import Unfit, count, truth
from bissl_ray.config.scalars import read_plain
from bissl_ray.errors import BadInputError, nearest

FILE: Final = "bissl-ray.toml"
"""Of a folder and all those below it."""
USERS_FILE: Final = "user's file"
ANOTHER_FILE: Final = "BISSL_RAY_CONFIG"
"""The variable that names a file to read in place of the nearest one."""

_PREFIX: Final = "BISSL_RAY_"
_OTHERS: Final = ("BISSL_RAY_CACHE", "BISSL_RAY_PLUGINS", ANOTHER_FILE)
_RAYS_ADDRESS: Final = "RAY_ADDRESS"


def read_all() -> SaidOnce:
    """Read everything that is said once, as of now and here (raises BadInputError)."""
    layers: list[Layer] = []
    if (near := folders_file()) is not None:
        layers.append(read_file(near, _label(near)))
    if (own := users_file()) is not None and os.path.lexists(own):
        layers.append(read_file(own, f"{USERS_FILE} {with_tilde(own)}"))
    return SaidOnce([_environment(os.environ, address=SaidOnce(layers).find("address") is not None), *layers])


def folders_file() -> Path | None:
    """The file that BISSL_RAY_CONFIG names, else the nearest one from the current folder upwards; None: there is none.

    The search ends with the home folder, where the current one is in it, else with the root.
    """
    if named := os.environ.get(ANOTHER_FILE):
        return Path(named).expanduser() if named.startswith("~/") else Path(named)
    try:
        here = Path.cwd()
    except OSError:  # the folder is gone
        return None
    home = _home()
    for folder in (here, *here.parents):
        if os.path.lexists(folder / FILE):
            return folder / FILE
        if home is not None and folder == home:
            return None
    return None


def users_file() -> Path | None:
    """Where the user's own file is, or would be; None: the user has no home."""
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or "")
    if configured.is_absolute():
        return configured / "bissl-ray" / "config.toml"
    home = _home()
    return None if home is None else home / ".config" / "bissl-ray" / "config.toml"


def _environment(variables: Mapping[str, str], *, address: bool) -> Layer:
    """What the environment says; `address`: whether a file says one, which Ray's own variable takes back."""
    keys = {key.variable: key for key in KEYS.values()}
    said: dict[tuple[str | None, str], Said] = {}
    for variable, text in variables.items():
        if not variable.startswith(_PREFIX) or variable in _OTHERS or not text.strip():
            continue
        if variable not in keys:
            raise _no_variable(variable, (*keys, *_OTHERS))
        key, origin = keys[variable], f"environment {variable}"
        value = read_plain(text.strip(), truth=True) if key.read in (count, truth) else text
        try:
            said[None, key.name] = Said(key.name, key.read(value, Path()), origin)
        except Unfit as wrong:
            raise BadInputError(f"{origin}: {wrong}") from None
    for key in KEYS.values():
        if (None, key.name) in said and key.beside is not None and (None, key.beside) not in said:
            raise BadInputError(
                f"environment {key.variable}: found no {KEYS[key.beside].variable} beside it, which it says more about"
            )
    if address and variables.get(_RAYS_ADDRESS):
        said.setdefault((None, "address"), Said("address", None, f"environment {_RAYS_ADDRESS}"))
    return Layer("environment", said)


def _no_variable(variable: str, known: Sequence[str]) -> BadInputError:
    name = variable.removeprefix(_PREFIX).replace("_", "-").lower()
    if is_of_one_command(name):
        return BadInputError(f"environment {variable}: {why_no_key(name)}")
    hint = nearest(variable, known) or f"; there are {', '.join(known)}"
    return BadInputError(f"environment: found {variable}, which says nothing to bissl-ray; unset it{hint}")


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None


def _label(path: Path) -> str:
    try:
        return os.path.relpath(path) if path.is_absolute() else str(path)
    except OSError:
        return str(path)


def with_tilde(path: Path) -> str:
    """A path as people write it, with ~ for their home."""
    home = _home()
    return f"~/{path.relative_to(home)}" if home is not None and path.is_relative_to(home) else str(path)
