"""`bissl-ray report`: what sweeps and comparisons came to, as one HTML file."""

from typing import Annotated

import typer

from bissl_ray.addresses import sayable
from bissl_ray.cli.flags import takes
from bissl_ray.cli.leaderboard import damage, end
from bissl_ray.config.options import ReportOptions, named_once


@takes(ReportOptions)
def report(
    asked: ReportOptions,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="The sweep's or comparison's name; of several, each.")
    ],
) -> None:
    """Write a report of sweeps and comparisons: one HTML file, with figures, that opens without a network."""
    from bissl_ray.report import check_png, check_report, make_report, read_subject, write_png, write_report

    named_once("report", names, "sweep or comparison")
    check_report(asked.out, asked.force)
    if asked.png is not None:
        check_png(asked.png)
    with damage() as notes:
        subjects = [read_subject(asked.storage, name) for name in names]
    made = make_report(subjects, asked.storage, str(asked.out), notes)
    write_report(made, asked.out)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(sayable(f"{asked.out}: {len(made.html.encode()) / 1e6:.1f} MB, {len(made.plots)} figures"))
    if asked.png is not None:
        files = write_png(made.plots, asked.png)
        typer.echo(sayable(f"{asked.png}: {len(files)} PNG files"))
    end(notes)
