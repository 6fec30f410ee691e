"""The command line: `bissl-ray VERB`. The verbs are in the files here; this one gathers them, turns errors into exits.

Exit codes (docs/architecture.md, "The command line"): 0 done, 1 it ran and failed, 2 bad input, 130 interrupted,
141 nobody reads what is printed.
"""

import errno
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import typer

from bissl_ray import outputs
from bissl_ray.addresses import sayable, without_secrets
from bissl_ray.cli import streams
from bissl_ray.cli.bench import bench
from bissl_ray.cli.catalog import diff, list_things, status
from bissl_ray.cli.compare import compare
from bissl_ray.cli.config import config
from bissl_ray.cli.datasets import datasets
from bissl_ray.cli.doctor import doctor
from bissl_ray.cli.evaluate import evaluate
from bissl_ray.cli.examples import give_examples
from bissl_ray.cli.export import export
from bissl_ray.cli.launch import launch
from bissl_ray.cli.leaderboard import leaderboard, show
from bissl_ray.cli.removing import clean, rm
from bissl_ray.cli.report import report
from bissl_ray.cli.spaces import spaces
from bissl_ray.cli.stages import finetune, pretrain, train
from bissl_ray.cli.sweep import resume, sweep
from bissl_ray.cli.watch import watch
from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.workers.interrupt import at_once

_SHOWN: Final = 80
_LONGEST: Final = 1200
"""Of a line about bad input; what is longer is cut in the middle, as its end says what to do."""
_BEGINNING, _END = 600, 300
_ENDLESS: Final = re.compile(r"\S{300,}")
"""A word that nobody reads to its end; addresses and paths that mean something are shorter."""

app = typer.Typer(
    name="bissl-ray",
    help="Find BiSSL's hyperparameters for your dataset, and say honestly whether BiSSL pays there.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_VERBS = (
    *(sweep, resume, watch, leaderboard, show, list_things, status, diff, rm, clean, compare, report, export),
    *(pretrain, train, finetune, evaluate),
    *(config, spaces, launch, doctor),
)
for verb in _VERBS:
    app.command("list" if verb is list_things else None)(verb)
app.add_typer(datasets, name="datasets")
app.add_typer(bench, name="bench")
give_examples(app)


def main() -> None:
    """Run the command line and exit with its code."""
    streams.prepare()
    try:
        with at_once(), _own_warnings():
            code = _run()
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except OSError as error:  # nobody reads it any more, or there is no room for it
        code = _unwritten(error)
    sys.exit(code)


def _run() -> int:
    """Run a verb and give the exit code; what went wrong is said."""
    if _folder_is_gone():  # where torch can't even be imported
        return _say("the current folder has been removed: change to another with cd", 2)
    try:
        code = app(standalone_mode=False, prog_name="bissl-ray")
    except SystemExit as end:
        # So Typer ends where a pipe is broken; it may be one of a worker's, of which something is to be said.
        if isinstance(end.__context__, BrokenPipeError):
            return _unwritten(end.__context__)
        raise
    except BadInputError as error:
        return _say(str(error), 2)
    except typer.Abort as abort:
        # Typer takes the end of any file that is read for that of a person's answers.
        return _unexpected(abort.__context__) if isinstance(abort.__context__, EOFError) else 130
    except KeyboardInterrupt:
        return 130
    except (RunFailedError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            # No name of ours is: it comes from a flag or a file, wherever it was first looked up.
            return _say(f"found a name longer than the file system takes ({error}): expected a shorter one", 2)
        # An OSError: the storage refused in the end; what is lost and how to go on stands in it.
        code = _say(str(error), 1)
        try:
            sys.stdout.flush()
        except OSError:  # it was standard output that refused, and that has been said
            outputs.hush()
        return code
    except Exception as error:
        if type(error).__name__ == "ArrowException":  # what Arrow knows no other word for, as all that Azure answers
            said = " ".join(str(error).split())
            return _say(f"the storage refuses: {said}; check its address, and the credentials in the environment", 1)
        # Typer's own complaints about the command line: unknown flags, missing or malformed values.
        if not hasattr(error, "format_message"):
            return _unexpected(error)
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "bissl-ray"
        said = error.format_message()
        if not said.startswith("Usage:"):
            return _say(f"{said.rstrip('.')}; see {path} --help", 2)
        typer.echo(said, err=True)  # a verb was left out, and this is the help
        return 2
    return code if isinstance(code, int) else 0


@contextmanager
def _own_warnings() -> Iterator[None]:
    """Warnings of ours as a line for a person, not as Python writes them, for the duration of a `with` block."""
    with warnings.catch_warnings():
        pythons, told = warnings.showwarning, set[str]()

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not category.__module__.startswith("bissl_ray."):
                pythons(message, category, *where, **more)
            elif str(message) not in told:  # a file is read by several
                told.add(str(message))
                typer.echo(sayable(f"warning: {message}"), err=True)

        warnings.showwarning = show
        yield


def _folder_is_gone() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def _say(text: str, code: int) -> int:
    line = "\n".join(
        map(sayable, text.split("\n") if code == 1 else [text])
    )  # bad input is one line, whatever it holds
    short = _ENDLESS.sub(lambda word: f"{word[0][:_SHOWN]}... ({len(word[0])} letters)", line)
    if code == 2 and len(short) > _LONGEST:
        short = f"{short[:_BEGINNING]} ... ({len(short):,} letters) ... {short[-_END:]}"
    typer.echo(f"bissl-ray: {short}", err=True)
    return code


def _unexpected(error: BaseException) -> int:
    """What nobody has foreseen: where it was, for who mends it, without the passwords that a command line may hold."""
    typer.echo(without_secrets("".join(traceback.format_exception(error))), err=True)
    return _say(f"a fault of its own, {type(error).__name__}; please report it with the lines above", 1)


def _unwritten(error: OSError) -> int:
    """What could not be printed: nothing is said of it to a reader that has ended."""
    if streams.reader_left():
        outputs.hush()
        return streams.READER_LEFT
    code = _say(str(error), 1)
    outputs.hush()
    return code
