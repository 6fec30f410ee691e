"""From an address to a file of this machine."""

from pathlib import Path
from typing import NamedTuple

from bissl_ray.preflight.sources.address import Hub, Timm, Web
from bissl_ray.preflight.sources.cache import kept
from bissl_ray.preflight.sources.hub import NoSuchFileError, from_hub
from bissl_ray.preflight.sources.of_timm import places_of


class Copy(NamedTuple):
    """What was fetched: the file, and where it is kept, in words."""

    file: Path
    words: str


def fetch(address: Web | Hub | Timm) -> Copy:
    """The copy of a file, which is fetched where there is none yet.

    Raises:
        BadInputError: it can't be had; one line says why.
    """
    match address:
        case Web():
            file = kept(address)
            return Copy(file, f"kept at {file}: delete that to fetch it anew")
        case Hub():
            file = from_hub(address)
            return Copy(file, f"kept at {file}, in the hub's cache")
    *others, last = places_of(address)
    for place in others:
        try:
            return fetch(place)
        except NoSuchFileError:
            continue
    return fetch(last)
