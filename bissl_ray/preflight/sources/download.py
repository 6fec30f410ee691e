"""One file from the web into a part file: gone on with after a break, and never glued together from two versions."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from bissl_ray.errors import BadInputError
from bissl_ray.preflight.sources.address import Web
from bissl_ray.preflight.sources.answers import BrokenError, check_beginning, check_status, trouble
from bissl_ray.preflight.sources.meter import Advance, size_in_words

if TYPE_CHECKING:
    from requests import Response, Session

_TRIES: Final = 4
"""In a row, without a byte more."""
_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_TIMEOUT_S: Final = (10, 60)
_CHUNK: Final = 2**18


def download(web: Web, part: Path, advance: Advance) -> None:
    """Fetch a file, going on with what an earlier call, or a killed process, left.

    Args:
        web: its address.
        part: where its bytes go; call it under a lock. What may be gone on with stays there after an error.
        advance: is told how far it is.

    Raises:
        BadInputError: it can't be fetched, in one line.
        OSError: it can't be written.
    """
    import requests

    tries, farthest = 0, _size(part)
    with requests.Session() as session:
        while True:
            try:
                _attempt(session, web, part, advance)
                return
            except BrokenError as broken:
                size = _size(part)
                tries = 1 if size > farthest else tries + 1
                farthest = max(size, farthest)
                if tries == _TRIES:
                    raise BadInputError(_given_up(web, part, broken)) from None
                time.sleep(min(broken.after or _PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S))
            except BadInputError:
                drop(part)
                raise


def drop(part: Path) -> None:
    """Remove a part file, with what is known of it."""
    part.unlink(missing_ok=True)
    _facts_file(part).unlink(missing_ok=True)


def _given_up(web: Web, part: Path, broken: BrokenError) -> str:
    """Say so; what can't be gone on with is not kept."""
    size = _size(part) if _version_of(part) is not None else 0
    if not size:
        drop(part)
    kept = f"{size_in_words(size)} of it are kept for the next try" if size else "check address and network, try again"
    return f"{web.shown} can't be fetched: {broken}, {_TRIES} times; {kept}"


def _attempt(session: "Session", web: Web, part: Path, advance: Advance) -> None:
    from requests import RequestException

    version = _version_of(part)
    begun = _size(part) if version is not None else 0
    headers = {"Accept-Encoding": "identity"}
    if version is not None and begun:
        headers |= {"Range": f"bytes={begun}-", "If-Range": version}
    hooks = {"response": lambda answer, **_: _check_redirect(answer, web)}
    try:
        with session.get(web.url, headers=headers, stream=True, timeout=_TIMEOUT_S, hooks=hooks) as answer:
            if answer.status_code == 416 and begun:
                if _range_of(answer)[1] != begun:
                    drop(part)
                    raise BrokenError("the server has another file than before")
                return  # all of it was there, and the process ended before it said so
            check_status(answer.status_code, web.shown, answer.headers.get("Retry-After"))
            if answer.status_code == 200:
                begun = 0
            elif _range_of(answer)[0] != begun or _version(answer) not in (None, version):
                drop(part)
                raise BrokenError("the server has another file than before")
            _write(answer, web, part, begun, advance)
    except RequestException as error:
        raise trouble(error, web.shown) from None


def _write(answer: "Response", web: Web, part: Path, begun: int, advance: Advance) -> None:
    total = _total(answer, begun)
    if not begun:
        drop(part)
        _facts_file(part).write_text(json.dumps({"version": _version(answer)}))
    done = begun
    with part.open("ab", buffering=0) as stream:
        advance(done, total)
        for chunk in answer.iter_content(_CHUNK):
            if not done:
                check_beginning(answer.headers.get("Content-Type", ""), chunk, web.shown)
            stream.write(chunk)
            done += len(chunk)
            advance(done, total)
    if done == 0:
        raise BrokenError("an empty file came")
    if total is not None and done != total:
        raise BrokenError(f"{done:,} of {total:,} bytes came")


def _check_redirect(answer: "Response", web: Web) -> None:
    target = urljoin(answer.url, answer.headers.get("Location", ""))
    if answer.is_redirect and answer.url.lower().startswith("https:") and urlsplit(target).scheme == "http":
        raise BadInputError(
            f"{web.shown} leads to http://{urlsplit(target).hostname}, where anybody on the way can change the file; "
            "expected https to the end: take another address"
        )


def _total(answer: "Response", begun: int) -> int | None:
    """Bytes of the whole file, where they are said; those of a compressed answer are other ones."""
    length = answer.headers.get("Content-Length", "")
    if answer.headers.get("Content-Encoding", "identity") != "identity" or not length.isdecimal():
        return None
    return begun + int(length)


def _range_of(answer: "Response") -> tuple[int | None, int | None]:
    """First byte and size of the whole file, of "bytes 5-9/10" or "bytes */10"."""
    first, _, size = answer.headers.get("Content-Range", "").removeprefix("bytes").strip().partition("/")
    begin = first.partition("-")[0]
    return int(begin) if begin.isdecimal() else None, int(size) if size.isdecimal() else None


def _version(answer: "Response") -> str | None:
    """What tells this version of the file from another, for If-Range; None: nothing that is sure to."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        return None
    tag: str | None = answer.headers.get("ETag")
    if tag is not None and not tag.startswith("W/"):
        return tag
    return answer.headers.get("Last-Modified")


def _version_of(part: Path) -> str | None:
    """The version that a part file is of; None where there is no part, or it can't be gone on with."""
    with suppress(OSError, ValueError, AttributeError, RecursionError):
        facts: Any = json.loads(_facts_file(part).read_text())
        return facts.get("version") if part.is_file() else None
    return None


def _facts_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    with suppress(OSError):
        return part.stat().st_size
    return 0
