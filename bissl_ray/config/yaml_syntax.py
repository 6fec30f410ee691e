"""What is wrong with a file that is not YAML, on one line, in the words of who wrote it."""

import re

import yaml

from bissl_ray.config.how_to_write import missing_space
from bissl_ray.config.scalars import typographic


def syntax_message(error: yaml.MarkedYAMLError, label: str, text: str) -> str:
    """Say where and why a text is not YAML.

    Args:
        error: of PyYAML.
        label: what the file is called.
        text: of the file.
    """
    problem = " ".join((error.problem or error.context or "unreadable").split())
    no_colon = problem == "could not find expected ':'"
    # PyYAML finds out about a missing colon on a later line.
    mark = error.context_mark if no_colon else error.problem_mark or error.context_mark
    if mark is None:
        return f"{label}: not YAML: {problem}"
    place, column = f"{label}:{mark.line + 1}", f"at column {mark.column + 1}"
    line = _without_comment(text, mark.line)
    if odd := typographic(line):
        return f"{place}: {odd}"
    if no_colon:
        return f"{place}: found {line!r}, expected key: value{missing_space(line)}"
    if "'\\t'" in problem:
        return f"{place}: found a tab {column}, expected spaces; write spaces in its place"
    if problem == "mapping values are not allowed here":
        return f"{place}: found a colon {column}, expected one key: value on a line, indented as the keys beside it"
    if problem == "but found another document":
        return f"{place}: found a second document after ---, expected one; put it into a file of its own"
    return f"{place}: not YAML {column}: {problem}"


def character_message(error: yaml.reader.ReaderError, label: str, text: str) -> str:
    """Say where a text has a character that YAML doesn't; arguments as of `syntax_message`."""
    line = text.count("\n", 0, error.position) + 1
    return f"{label}:{line}: found the character U+{ord(text[error.position]):04X}, which YAML doesn't have; delete it"


def _without_comment(text: str, number: int) -> str:
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    return re.sub("(^|\\s)#.*", "", lines[number]).strip() if number < len(lines) else ""
