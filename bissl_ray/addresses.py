"""Addresses and other texts as they may be printed and stored: without passwords and tokens."""

import hashlib
import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

SECRET_WORDS: Final = re.compile(
    r"token|passw|passphrase|secret|credential|apikey|(^|[^a-z])(auth(?!or)\w*|pwd|keys?|sig|signature|sas)($|[^a-z])"
)
"""What names of secrets have in them, in lower case."""
TOKEN: Final = re.compile(r"\b(hf_[A-Za-z0-9]{20,}|gh[opsu]_[A-Za-z0-9]{20,}|(AKIA|ASIA)[0-9A-Z]{16})\b")
"""What is known for a token or the name of a key without any word beside it."""

# With one slash too: so a path is written that an address was taken for. What ends a sentence is none of it.
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*:/+[^\s/](\S*[^\s'\",;:.!)\]])?", re.IGNORECASE)
_OF_THE_WEB: Final = re.compile(r"(https?:)(/+)", re.IGNORECASE)
_USER: Final = re.compile(r"(:/+)[^\s/?#]*:[^\s/?#]*@")
_PARAMETER: Final = re.compile(r"([?&;]([^=&;#\s]*)=)[^&;#\s]*")
_HARMLESS: Final = re.compile(r"((download|raw|dl)=(1|0|true|false)?&?)*")
_HASH: Final = re.compile(r"(sha256=[0-9a-f]*)?", re.IGNORECASE)
_HIDDEN: Final = re.compile(r"hidden=[0-9a-f]{12}")


def without_secrets(text: str) -> str:
    """A text with the addresses in it without what may be a password or a token.

    Those of the web lose user, password, query and what is behind their '#' but a hash. In place of the query stands a
    hash of it: two files of one server stay apart, and a copy of one is found again. Others, such as s3://, lose user
    and password, and what options hold whose names are those of secrets.
    """
    return _ADDRESS.sub(_public, text)


def has_secrets(address: str) -> bool:
    """Whether an address that is none of the web holds a password, or an option whose name is that of a secret."""
    options = parse_qsl(address.partition("?")[2], keep_blank_values=True)
    return _USER.search(address) is not None or any(SECRET_WORDS.search(name.lower()) for name, _ in options)


def sayable(text: str) -> str:
    """A text as it may be printed as one line, whatever is in it.

    Without secrets, and what would move the cursor, break the line or turn it around is escaped.
    """
    plain = TOKEN.sub("...", without_secrets(text))
    return "".join(char if char.isprintable() else _escaped(char) for char in plain)


def is_hidden(url: SplitResult) -> bool:
    """Whether the query of an address was left out."""
    return _HIDDEN.fullmatch(url.query) is not None


def _public(found: re.Match[str]) -> str:
    web = _OF_THE_WEB.match(found[0])
    if web is None:
        text = _USER.sub(r"\1", found[0])
        return _PARAMETER.sub(lambda each: f"{each[1]}..." if SECRET_WORDS.search(each[2].lower()) else each[0], text)
    try:
        url = urlsplit(f"//{found[0][web.end() :]}")
    except ValueError:
        return "https://..."
    query = url.query
    if not _HARMLESS.fullmatch(query) and not is_hidden(url):
        query = f"hidden={hashlib.sha256(query.encode(errors='surrogatepass')).hexdigest()[:12]}"
    fragment = url.fragment if _HASH.fullmatch(url.fragment) else ""
    plain = url._replace(netloc=url.netloc.rpartition("@")[2], query=query, fragment=fragment)
    return web[1] + web[2] + urlunsplit(plain).removeprefix("//")


def _escaped(char: str) -> str:
    # A byte of a file's name that is no text has been put so by Python.
    return char if 0xDC80 <= ord(char) <= 0xDCFF else char.encode("unicode_escape").decode("ascii")
