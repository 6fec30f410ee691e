"""The verb ``spaces``: list the shipped search spaces, or print one with everything that it inherits."""

from typing import Annotated, Literal

import typer

from bissl_ray.cli import completion
from bissl_ray.cli.streams import print_json
from bissl_ray.errors import BadInputError

_LEAST_IMPORTANT = ("seeds", "runs\neach", "finalists", "known\npoints", "image\nside", "pretext", "trials")
_Format = Literal["yaml", "json"]


def spaces(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A shipped space or a file; without it, the shipped ones are listed.", autocompletion=completion.spaces
        ),
    ] = None,
    format: Annotated[
        _Format | None, typer.Option("--format", "-f", help="How one space is printed.", show_default="yaml")
    ] = None,
) -> None:
    """List the search spaces, or print one with everything it inherits and where each key came from."""
    if name is not None:
        _print_one(name, format or "yaml")
    elif format is not None:
        raise BadInputError(f"--format {format} prints one space and found no name; name it: bissl-ray spaces digits")
    else:
        _print_list()


def _print_one(name: str, format: _Format) -> None:
    from bissl_ray.config import load_search_space, to_yaml

    space = load_search_space(name)
    if format == "json":
        print_json(space.model_dump_json(indent=2))
    else:
        typer.echo(to_yaml(space), nl=False)


def _print_list() -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.config import load_search_space, shipped_spaces

    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
    for heading in ("\ndataset", "\nbackbone", "\npretext"):
        table.add_column(heading, no_wrap=True)
    for heading in ("image\nside", "known\npoints", "\ntrials", "\nfinalists", "runs\neach", "\nseeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    alike: dict[tuple[str, str], list[str]] = {}
    for name in shipped_spaces():
        space = load_search_space(name)
        settings, plan = space.settings({}), space.protocol
        sizes = (plan.trials, plan.finalists, plan.finetune_runs, plan.seeds)
        numbers = map(str, (settings.image_size, len(space.known_good), *sizes))
        table.add_row(space.dataset, settings.backbone, settings.pretext, *numbers)
        alike.setdefault((", ".join(space.parameters), ", ".join(space.finetune_parameters)), []).append(name)
    console = Terminal()
    console.print(console.narrowed(table, _LEAST_IMPORTANT))
    for (searched, of_finetuning), names in alike.items():
        whose = "all" if len(alike) == 1 else ", ".join(names)
        console.print(Text(f"Searched ({whose}): {searched}; in fine-tuning: {of_finetuning}."))
    console.print(Text("Known points are those of the space's pretext. One in full: bissl-ray spaces NAME"))
