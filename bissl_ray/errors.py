"""The one exception that means "the person asked for something that can't be done"."""

import difflib
from collections.abc import Iterable


class BadInputError(Exception):
    """Bad input: one clear line that says what was found, what was expected and what to do next.

    The command line prints it without a traceback and exits with code 2. Raise it before anything
    is started or written.
    """


class RunFailedError(Exception):
    """A run began, and ended early for a reason that can be said in one line. The command line exits with code 1."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """Name the choices nearest to a mistyped word, as an ending for an error line.

    Args:
        word: what the person wrote.
        choices: every name that would have been right.

    Returns:
        "; did you mean 'cars'?" or "", ready to append.
    """
    lower_case = {name.lower(): name for name in choices}
    close = [lower_case[name] for name in difflib.get_close_matches(word.lower(), lower_case, n=3, cutoff=0.5)]
    if not close:
        return ""
    return "; did you mean " + " or ".join(repr(name) for name in close) + "?"
