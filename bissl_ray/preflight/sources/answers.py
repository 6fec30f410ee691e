"""What a server's answer means, in words, and whether what it sent can be a checkpoint."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bissl_ray.errors import BadInputError
from bissl_ray.signatures import BEGINNING, kind_of_bytes

if TYPE_CHECKING:
    from requests import RequestException

_LOGIN: Final = (
    "on Hugging Face give hf://OWNER/NAME/FILE and set HF_TOKEN; elsewhere give an address that needs none, or put the "
    "login into ~/.netrc"
)
_STATUSES: Final[Mapping[int, str]] = {
    401: f"needs a login (401): {_LOGIN}",
    403: f"may not be fetched (403 forbidden; signed addresses expire): {_LOGIN}",
    404: "is not there (404 not found): check the address",
    410: "is there no longer (410 gone): look for where it was moved",
}
_LINKS: Final = "take the link of the file itself; on Hugging Face /resolve/, not /blob/; on GitHub raw"
_REFUSED: Final = {
    "html": f"is a web page, not a checkpoint: {_LINKS}",
    "lfs": "is a Git LFS pointer, not the file: take the link of the file that it points to",
}


class BrokenError(Exception):
    """A fetch ended early for a reason that may be gone in a moment.

    Attributes:
        after: seconds after which the server wants to be asked again; None: it said nothing.
    """

    def __init__(self, words: str, after: float | None = None) -> None:
        super().__init__(words)
        self.after = after


def check_status(status: int, shown: str, retry_after: str | None = None) -> None:
    """Make sure that an answer is the file, or a part of it.

    Args:
        status: of HTTP.
        shown: the address, for error lines.
        retry_after: what the server said of when to ask again.

    Raises:
        BrokenError: another try may succeed.
        BadInputError: none will.
    """
    if status in (200, 206):
        return
    after = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    if status == 429:
        raise BrokenError("the server has had too many requests (429)", after)
    if status == 408 or status >= 500:
        raise BrokenError(f"the server has trouble of its own ({status})", after)
    raise BadInputError(f"{shown} {_STATUSES.get(status, f'was refused by its server ({status}): check the address')}")


def check_beginning(content_type: str, first: bytes, shown: str) -> None:
    """Refuse what can't be a checkpoint by its type or its first bytes (raises BadInputError)."""
    kind = kind_of_bytes(first[:BEGINNING])
    key = "html" if content_type.lower().startswith("text/html") else "" if kind is None else kind.key
    if key in _REFUSED:
        raise BadInputError(f"{shown} {_REFUSED[key]}")


def is_whole(file: Path) -> bool:
    """Whether a file ends where its format says, as far as that can be told: of zip files and .safetensors."""
    with file.open("rb") as stream:
        first = stream.read(8)
        if file.name.removesuffix(".part").endswith(".safetensors"):
            length = int.from_bytes(first, "little")
            try:
                tensors = json.loads(stream.read(length)) if length < file.stat().st_size else {}
                end = max(each["data_offsets"][1] for name, each in tensors.items() if name != "__metadata__")
            except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
                return length < file.stat().st_size  # none, or malformed: its reader says so better
            return bool(file.stat().st_size >= 8 + length + end)
    return not first.startswith(b"PK") or zipfile.is_zipfile(file)


def sha256_of(file: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def trouble(error: "RequestException", shown: str) -> BrokenError | BadInputError:
    """What kept an answer from coming, in words of ours: those of requests hold the address with its secrets.

    Args:
        error: as requests raised it.
        shown: the address, for error lines.

    Returns:
        A BadInputError where trying again is of no use.
    """
    from requests import exceptions

    said = repr(error)
    if isinstance(error, exceptions.ProxyError):
        return BrokenError("the proxy of the environment (HTTPS_PROXY) doesn't answer")
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return BadInputError(f"the certificate of {shown} can't be verified: check clock and REQUESTS_CA_BUNDLE")
    if isinstance(error, exceptions.TooManyRedirects):
        return BadInputError(f"the redirects of {shown} lead in a circle: check the address")
    if isinstance(error, ValueError):  # what requests calls a malformed address
        return BadInputError(f"{shown} is an address, or leads to one, that can't be fetched: check it")
    if "NameResolution" in said or "getaddrinfo" in said:
        return BrokenError("its host is not found, or there is no network")
    if "NewConnection" in said or "ConnectTimeout" in said:
        return BrokenError("no connection can be made to its host")
    if "timed out" in said:
        return BrokenError("no answer came in time")
    return BrokenError("the connection broke off")
