"""What a person may name instead of a file: https://HOST/FILE, hf://OWNER/NAME/FILE, timm/NAME.TAG."""

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from bissl_ray.addresses import is_hidden, without_secrets
from bissl_ray.config.names import TIMM
from bissl_ray.errors import BadInputError
from bissl_ray.store.paths import absolute_file

_SCHEME: Final = re.compile(r"(https?|hf)://", re.IGNORECASE)
_SHA256: Final = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)
_HUB: Final = re.compile(r"([\w.-]+/[\w.-]+?)(?:@([^/]+))?/([^/].*)")
_PAGE_OF_HUB: Final = re.compile(r"(/[^/]+/[^/]+)/blob/(.+)")
_SUFFIXES: Final = (".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".tar")

_secrets: dict[str, str] = {}
"""Addresses with their passwords and tokens, by how they are called: in the memory of this process alone."""


@dataclass(frozen=True)
class Web:
    """A file on the web.

    Attributes:
        shown: its address without password and query, as messages and documents have it.
        url: what is asked for.
        sha256: of the file, in lower case; None: any.
    """

    shown: str
    url: str
    sha256: str | None

    @property
    def file_name(self) -> str:
        """A name for its copy, with the suffix that readers look at."""
        parts = [unquote(part) for part in urlsplit(self.url).path.split("/") if part]
        named = [part for part in parts if part.endswith(_SUFFIXES)] or parts or ["checkpoint.pth"]
        return re.sub(r"[^\w.-]+", "-", named[-1], flags=re.ASCII).lstrip(".-")[-100:] or "checkpoint.pth"

    @property
    def secret_is_lost(self) -> bool:
        """Whether its query was hidden in a document, and this process was never given it."""
        return is_hidden(urlsplit(self.url))


@dataclass(frozen=True)
class Hub:
    """A file of a repository on the Hugging Face hub; `revision`: branch, tag or commit, None: the main one."""

    shown: str
    repo: str
    revision: str | None
    file: str
    sha256: str | None


@dataclass(frozen=True)
class Timm:
    """Weights that timm publishes, by their name there."""

    shown: str
    name: str


def named(text: str | Path | None) -> str | None:
    """A checkpoint as processes in other folders find it, and as it may be printed and stored; None for None.

    Paths become absolute. A password, or a query that may hold a token, is left out and kept in this process's memory,
    where `parsed` finds it.

    Args:
        text: as it was typed.

    Raises:
        BadInputError: an address that can't be one.
    """
    if text is None:
        return None
    address = parsed(str(text))
    if isinstance(address, Web) and not address.secret_is_lost:
        _secrets[address.shown] = address.url
    return absolute_file(text) if address is None or _is_here(text) else address.shown


def parsed(text: str) -> Web | Hub | Timm | None:
    """What kind of address it is; None: a path, or the URI of a storage (raises BadInputError)."""
    scheme = _SCHEME.match(text)
    if scheme is not None:
        return _hub(text) if scheme[1].lower() == "hf" else _web(text)
    return Timm(text, text.removeprefix(TIMM)) if text.startswith(TIMM) else None


def label_of(text: str) -> str:
    """What to call a checkpoint by, where it was given no name."""
    match None if _is_here(text) else parsed(text):
        case Web() as web:
            return PurePosixPath(web.file_name).stem
        case Hub(repo=repo):
            return repo.partition("/")[2]  # the files of most are called alike
        case Timm(name=name):
            return name
    return Path(text).stem


def _is_here(text: str | Path) -> bool:
    return Path(text).expanduser().exists()


def _web(text: str) -> Web:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise BadInputError("found an address of a host or a port that can't be; expected https://HOST/FILE") from None
    if not host or url.path in ("", "/"):
        raise BadInputError(f"found the address {url.scheme}://{host or ''}/; expected https://HOST/FILE")
    sha256 = _sha256(url.fragment, f"{url.scheme}://{host}{url.path}")
    whole = urlunsplit(_file_of_page(url._replace(fragment="")))
    shown = without_secrets(whole) + ("" if sha256 is None else f"#sha256={sha256}")
    # As a document has it, it lacks the secret, which this process may have been given.
    return Web(shown, _secrets.get(shown, whole) if whole == without_secrets(whole) else whole, sha256)


def _file_of_page(url: SplitResult) -> SplitResult:
    """Of the hub's page about a file, the file."""
    page = _PAGE_OF_HUB.fullmatch(url.path)
    if url.hostname not in ("huggingface.co", "hf.co") or page is None:
        return url
    return url._replace(path=f"{page[1]}/resolve/{page[2]}")


def _hub(text: str) -> Hub:
    address, _, fragment = text.partition("#")
    found = _HUB.fullmatch(address[len("hf://") :])
    if found is None:
        raise BadInputError(f"found {address}; expected hf://OWNER/NAME/FILE, or hf://OWNER/NAME@REVISION/FILE")
    sha256 = _sha256(fragment, address)
    shown = f"hf://{address[len('hf://') :]}"
    hub = Hub(shown, found[1], unquote(found[2]) if found[2] else None, found[3], sha256)
    return hub if sha256 is None else replace(hub, shown=f"{shown}#sha256={sha256}")


def _sha256(fragment: str, shown: str) -> str | None:
    if not fragment:
        return None
    found = _SHA256.fullmatch(fragment)
    if found is None:
        # Of others it may be a token.
        what = repr(fragment[:80]) if fragment.lower().startswith("sha256=") else "something"
        raise BadInputError(
            f"{shown} has {what} behind its '#'; expected nothing, or sha256= and 64 hexadecimal digits"
        )
    return found[1].lower()
