"""Which Ray cluster a job runs on: one decision for every verb, its dry run included, from the flag or RAY_ADDRESS."""

import os
import re
from typing import Final
from urllib.parse import urlsplit

from bissl_ray.addresses import without_secrets
from bissl_ray.errors import BadInputError

_LAST_PORT: Final = 65535
_CLIENT: Final = "ray://"
NO_CLIENT: Final = (
    "Ray Tune would carry what runs here, the search and its records, into a task of the cluster, which fails; "
    "give --address HOST:PORT of the cluster itself (port 6379) from a machine of its network, or run the command "
    "there: ray job submit --address http://HEAD:8265 -- bissl-ray ..."
)
"""Why a Ray client is refused, and what to do (issue 19)."""
_EXPECTED: Final = (
    "expected 'auto', 'local' or HOST:PORT, such as 127.0.0.1:6379 or [::1]:6379; "
    "`ray start --head` prints the cluster's own"
)


def chosen_address(asked: str | None) -> str | None:
    """Decide on which cluster a job runs; nothing is tried yet.

    Args:
        asked: what --address was given, None or nothing where it wasn't; then RAY_ADDRESS counts.

    Returns:
        "auto" or "HOST:PORT" of a cluster to join; None for this machine, which "local" asks for.

    Raises:
        BadInputError: it is none of these, or a Ray client's.
    """
    for source, given in (("--address", asked), ("RAY_ADDRESS", os.environ.get("RAY_ADDRESS"))):
        if given is not None and given.strip():
            return _read(source, given.strip())
    return None


def host_and_port(address: str) -> tuple[str, int]:
    """Of an address as `chosen_address` gives it, other than "auto"; the brackets of IPv6 are left out."""
    parts = urlsplit(f"//{address}")
    assert parts.hostname is not None and parts.port is not None
    return parts.hostname, parts.port


def _read(source: str, given: str) -> str | None:
    text, shown = given.rstrip("/"), without_secrets(given)
    word = text.lower()
    if word in ("local", "auto"):
        return None if word == "local" else word
    if word.startswith(("http://", "https://")):
        raise BadInputError(f"{source} {shown} is the address of a dashboard, not of the cluster itself: {_EXPECTED}")
    if word.startswith(_CLIENT):
        raise BadInputError(f"{source} {shown} is for Ray clients: {NO_CLIENT}")
    if not _is_place(text):
        raise BadInputError(f"{source} {shown}: {_EXPECTED}")
    return text


def _is_place(text: str) -> bool:
    """Whether it is a host and a port and nothing else; IPv6 in brackets, for its colons are no port's."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) <= _LAST_PORT:
        return False
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    return bool(bare) and (":" in bare) == bracketed and not any(c.isspace() or c in "/@?#[]" for c in bare)
