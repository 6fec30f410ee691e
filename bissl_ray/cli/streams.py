"""Standard output and standard error as people have them: of any encoding, closed, or without a reader.

The command line alone prepares them; a program that imports bissl_ray keeps its own as they are.
"""

import codecs
import os
import select
import sys
from encodings import ascii as ascii_codec
from pathlib import Path
from typing import Final

import typer

from bissl_ray import outputs
from bissl_ray.addresses import sayable
from bissl_ray.cli.plain_text import EXACT, JSON, STAND_IN, encodable

READER_LEFT: Final = 141
"""The exit code where what reads a pipe has ended, as of a process that the signal SIGPIPE ends."""

_PLAIN_ASCII: Final = "bissl-ray-ascii"
"""ASCII by a name of our own: typer takes a stream called ASCII for a mistake, and writes UTF-8 into it."""


def prepare() -> None:
    """Make both take any text: what their encoding lacks is replaced as `plain_text` says."""
    codecs.register(_plain_ascii)
    # Files that are opened later must not get a number that a program takes for its output.
    nowhere = Path(os.devnull)
    sys.stdin = sys.stdin or nowhere.open(encoding="utf-8")
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")
    outputs.separate()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            of_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_PLAIN_ASCII if of_ascii else None, errors=STAND_IN)


def print_json(text: str) -> None:
    """Print JSON on standard output; what its encoding lacks is escaped, which reads back the same."""
    typer.echo(encodable(text, sys.stdout.encoding or "utf-8", JSON))


def print_csv(text: str) -> None:
    """Print CSV, which knows no escapes, on standard output; what is escaped nevertheless is said on standard error."""
    encoding = sys.stdout.encoding or "utf-8"
    written = encodable(text, encoding, EXACT)
    typer.echo(written, nl=bool(written))
    if written != text:
        shown = "ASCII" if encoding == _PLAIN_ASCII else encoding
        typer.echo(
            f"warning: {shown} lacks characters of this CSV, which are written as \\u1234; set PYTHONIOENCODING=utf-8",
            err=True,
        )


def print_markdown(text: str) -> None:
    """Print Markdown on standard output; what moves the cursor is escaped in it."""
    typer.echo("\n".join(map(sayable, text.split("\n"))), nl=bool(text))


def reader_left() -> bool:
    """Whether what read standard output or standard error, through a pipe, has ended; nothing can be said there."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    for number in outputs.numbers():
        poll.register(number, 0)  # errors are always reported
    return any(happened & select.POLLERR for _, happened in poll.poll(0))


def _plain_ascii(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != _PLAIN_ASCII:
        return None
    known = ascii_codec.getregentry()
    return codecs.CodecInfo(
        name=_PLAIN_ASCII,
        encode=known.encode,
        decode=known.decode,
        incrementalencoder=known.incrementalencoder,
        incrementaldecoder=known.incrementaldecoder,
        streamreader=known.streamreader,
        streamwriter=known.streamwriter,
    )
