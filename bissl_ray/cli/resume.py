"""`bissl-ray resume`: finish or extend a sweep."""

from typing import Annotated

import typer

from bissl_ray.cli.flags import takes
from bissl_ray.config.options import ResumeOptions


@takes(ResumeOptions, leave_out={"pretext_dataset"})
def resume(asked: ResumeOptions, name: Annotated[str, typer.Argument(help="The sweep's name.")]) -> None:
    """Go on with a sweep where it was interrupted, or extend a finished one; folders: where its data are now."""
    from bissl_ray.cli.live import conclude, terminal_view
    from bissl_ray.sweep.run import go_on

    with terminal_view(f"bissl-ray resume {name}") as view:
        outcome = go_on(name, asked, view)
    raise typer.Exit(conclude(outcome, asked.storage))
