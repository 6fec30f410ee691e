"""What is said once, for a stage by itself: its dataset may be that of a space, a trial or a checkpoint."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bissl_ray.cli.filling import Filler
from bissl_ray.config import load_search_space
from bissl_ray.config.options import StageOptions

if TYPE_CHECKING:
    from bissl_ray.config.requests import StageName


def fill_stage(stage: "StageName", asked: StageOptions, filler: Filler) -> tuple[StageOptions, Sequence[str]]:
    """Fill in what the flags of a stage left open.

    What a flag names, a trial, a checkpoint or a space, says more than what is said once of all.

    Args:
        stage: which.
        asked: as typed.
        filler: of the call.

    Returns:
        The options, and a line for each value that was filled in.

    Raises:
        BadInputError: as `Filler.filled` and `stated`.
    """
    if not filler.said:
        return asked, ()
    from bissl_ray.stages.stated import runs_again, stated

    flags = (asked.dataset, asked.from_trial, asked.space, asked.start)
    said = filler.find("dataset") if asked.dataset is None else None
    if said is not None and not any(flags):
        asked = replace(asked, dataset=said.value)
    # A checkpoint that is said once may be one of ours, which says how it is evaluated.
    of_checkpoint, _ = filler.filled(asked, asked.dataset, leave_out={"space"})
    dataset, known = stated(stage, asked if runs_again(stage, asked) else of_checkpoint)
    named = asked.dataset or dataset
    if named is None and said is not None:
        named = said.value
        asked = replace(asked, dataset=named)
    if named is None and (space := filler.find("space")) is not None and space.value is not None:
        named = load_search_space(space.value).dataset
    leave_out = {filler.open[field] for field in known if field in filler.open}
    filled, used = filler.filled(asked, named or "digits", leave_out)
    chosen = [said] if said is not None and filled.dataset == said.value else []
    return filled, [each.line for each in (*chosen, *used)]
