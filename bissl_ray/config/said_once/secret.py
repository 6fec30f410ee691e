"""What has no place in a file that is read by others and kept for years: passwords and tokens.

No line here repeats one.
"""

import re
from typing import Any, Final

from bissl_ray.addresses import SECRET_WORDS, TOKEN, has_secrets, without_secrets

_LIBRARIES: Final = (
    (re.compile(r"hf|hugging|hub"), "HF_TOKEN"),
    (re.compile(r"aws|s3|akia|asia|access"), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    (re.compile(r"ray|auth|cluster"), "RAY_AUTH_TOKEN"),
)


def secret_key(name: str) -> str | None:
    """What is wrong with a key whose name is that of a secret; None where it isn't."""
    if TOKEN.search(name):
        return f"found what looks like a token in place of a key; {_where_to(name)}"
    if not SECRET_WORDS.search(name.lower()):
        return None
    return f"found {name!r}, which looks like a secret and is not read from a file; {_where_to(name)}"


def secret_value(value: Any) -> str | None:
    """What is wrong with a value that carries a secret, without repeating it; None where it carries none."""
    if isinstance(value, list | tuple):
        return next((wrong for each in value if (wrong := secret_value(each)) is not None), None)
    if not isinstance(value, str):
        return None
    if found := TOKEN.search(value):
        return f"found what looks like a token; {_where_to(found[0])}"
    scheme, sign, _ = value.partition("://")
    if has_secrets(value) or (without_secrets(value) != value and sign):
        if scheme.lower().endswith(("s3", "gs")):
            return f"found an address with a secret in it; {_where_to('s3')}"
        if scheme.lower().endswith("hf"):
            return f"found an address with a secret in it; {_where_to('hf')}"
        return (
            "found an address with a password or a token in it; expected it without: give it whole with the flag or in "
            "BISSL_RAY_PRETRAINED, or the password in the file that NETRC names"
        )
    return None


def _where_to(name: str) -> str:
    variable = next((variable for form, variable in _LIBRARIES if form.search(name.lower())), None)
    if variable is None:
        return (
            "put it into the environment variable of the library that asks for it (HF_TOKEN, RAY_AUTH_TOKEN, AWS_...)"
        )
    return f"put it into the environment: {variable}"
