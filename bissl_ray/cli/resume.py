"""`bissl-ray resume`: finish or extend a sweep."""

from typing import Annotated

import typer


def resume(
    name: Annotated[str, typer.Argument(help="The sweep's name.")],
    storage: Annotated[str, typer.Option(help="Folder or URI that holds it.")] = "./runs",
    trials: Annotated[int | None, typer.Option(help="Explore trials in all, to extend it. [as before]")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Stop exploring after this, from now: 90m, 2h, 1d, or 40gpuh.")
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where the dataset's files are now. [as before]")] = None,
    splits_dir: Annotated[str | None, typer.Option(help="Where the published splits are now. [as before]")] = None,
    pretext_data_dir: Annotated[
        str | None, typer.Option(help="Where the pretext's dataset is now. [as before]")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join: auto or HOST:PORT. [RAY_ADDRESS, else one started here]")
    ] = None,
) -> None:
    """Go on with a sweep where it was interrupted, or extend a finished one."""
    from bissl_ray.cli.live import conclude, terminal_view
    from bissl_ray.sweep.run import resume_sweep

    with terminal_view(f"bissl-ray resume {name}") as view:
        outcome = resume_sweep(
            name,
            storage=storage,
            trials=trials,
            address=address,
            budget=budget,
            folders={"data_dir": data_dir, "splits_dir": splits_dir, "pretext_data_dir": pretext_data_dir},
            view=view,
        )
    raise typer.Exit(conclude(outcome, storage))
