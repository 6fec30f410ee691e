"""What a shell completes: names of sweeps, trials, datasets and spaces; neither torch nor Ray is imported for it.

Whatever goes wrong, nothing is completed: a person who presses Tab wants no message.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from pyarrow import Table

Completion = Callable[[typer.Context, str], list[str]]


def _quietly(names: Callable[[typer.Context, str], Iterator[str]]) -> Completion:
    """Those that begin as what is typed, sorted, each once."""

    def completed(context: typer.Context, incomplete: str) -> list[str]:
        found: set[str] = set()
        with suppress(Exception), warnings.catch_warnings(action="ignore"):
            found.update(names(context, incomplete))
        given = context.params.get("names") or ()  # a name is given once
        return sorted(name for name in found if name.startswith(incomplete) and name not in given)

    completed.__doc__ = names.__doc__
    return completed


@_quietly
def sweeps(context: typer.Context, _incomplete: str) -> Iterator[str]:
    """Names of sweeps."""
    from bissl_ray.store.paths import sweep_names

    yield from sweep_names(_storage(context))


@_quietly
def things(context: typer.Context, _incomplete: str) -> Iterator[str]:
    """Names of sweeps, stages that ran by themselves and comparisons."""
    from bissl_ray.store.filesystem import listed, open_storage

    filesystem, base = open_storage(_storage(context))
    for kind in ("sweeps", "stages", "comparisons"):
        for info in listed(filesystem, f"{base}/{kind}"):
            yield info.base_name.removesuffix(".json")


@_quietly
def trials(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Names of trials, of the sweep that is given where one is; SWEEP/TRIAL where a slash is typed."""
    yield from _trials(context, incomplete)


@_quietly
def trials_of_sweeps(context: typer.Context, incomplete: str) -> Iterator[str]:
    """SWEEP/TRIAL, or SWEEP/ as long as there is no slash."""
    if "/" in incomplete:
        yield from _trials(context, incomplete)
    else:
        from bissl_ray.store.paths import sweep_names

        yield from (f"{name}/" for name in sweep_names(_storage(context)))


@_quietly
def trials_or_sweeps(context: typer.Context, incomplete: str) -> Iterator[str]:
    """What may be set beside each other."""
    from bissl_ray.store.paths import sweep_names

    yield from _trials(context, incomplete)
    yield from sweep_names(_storage(context))


@_quietly
def datasets(_context: typer.Context, _incomplete: str) -> Iterator[str]:
    """Names of datasets."""
    from bissl_ray.data import dataset_names

    yield from dataset_names()


@_quietly
def spaces(_context: typer.Context, _incomplete: str) -> Iterator[str]:
    """Names of the shipped search spaces; where none begins so, the shell completes files."""
    from bissl_ray.config.space_files import shipped_spaces

    yield from shipped_spaces()


@_quietly
def recipes(_context: typer.Context, _incomplete: str) -> Iterator[str]:
    """Names of the recipes that start a cluster."""
    from bissl_ray.cli.launch import shipped_recipes

    yield from shipped_recipes()


OF_FLAGS: Final[dict[str, Completion]] = {
    "dataset": datasets,
    "datasets": datasets,
    "pretext_dataset": datasets,
    "space": spaces,
    "sweep": sweeps,
    "from_sweep": sweeps,
    "from_trial": trials_of_sweeps,
}
"""By the field of options that is a flag."""


def _storage(context: typer.Context) -> str:
    """That of the command line as far as it is typed, else what is said once, else the default."""
    given, source = context.params.get("storage"), context.get_parameter_source("storage")
    if given is not None and source is not None and source.name == "COMMANDLINE":
        return str(given)
    from bissl_ray.config.said_once import read_all

    with suppress(Exception):
        said = read_all().find("storage")
        if said is not None and said.value is not None:
            return str(said.value)
    return str(given or "./runs")


def _trials(context: typer.Context, incomplete: str) -> Iterator[str]:
    from bissl_ray.store.reader import read_trials

    sweep, slash, _ = incomplete.rpartition("/")
    table: Table = read_trials(_storage(context), sweep=sweep or context.params.get("sweep"))
    yield from (f"{sweep}{slash}{name}" for name in table["trial"].to_pylist())
