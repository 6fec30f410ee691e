"""`bissl-ray bench`: measurements, as ratios within one run."""

import typer

bench = typer.Typer(
    help="Measure; every table gives ratios within one run.", no_args_is_help=True, rich_markup_mode=None
)


@bench.callback()
def benches() -> None:
    """Measure; every table gives ratios within one run."""
