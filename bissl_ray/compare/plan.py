"""What a comparison would run, in words: for a dry run."""

from collections.abc import Mapping, Sequence
from typing import Final

from bissl_ray.config.requests import Case, Comparison

_OF_BISSL: Final = ("lower_lr", "upper_lr", "upper_weight_decay", "cg_iterations", "proximity_weight", "damping")


def plan_of(comparison: Comparison, left: Sequence[Case], read: Mapping[str, Sequence[str]]) -> list[str]:
    """Say what is left to run of a comparison.

    Args:
        comparison: all of it.
        left: the cases that are not finished.
        read: by sweep, what there is to say of its data and its checkpoint.
    """
    cases = len(comparison.cases)
    lines = [f"{comparison.name}: {cases} case{'' if cases == 1 else 's'}, {len(left)} of them to run", ""]
    for case in left:
        lines += [*_plan_of_case(case), *(f"  {line}" for line in read.get(case.sweep, ())), ""]
    return [*lines, "nothing was started; leave --dry-run out to start"]


def _plan_of_case(case: Case) -> list[str]:
    request, space = case.request, case.request.space
    plan, settings = space.protocol, space.settings({})
    own = request.pretrained
    source = f"pretrained here for {settings.pretrain_epochs} epochs" if own is None else own.file
    if space.parameters:
        bissl = f"searched in {plan.trials} trials: {', '.join(space.parameters)}"
    else:
        bissl = ", ".join(f"{name} {getattr(settings, name):g}" for name in _OF_BISSL)
    searched = ", ".join(space.finetune_parameters) or "nothing searched"
    tuned, confirmed = plan.finalists * plan.finetune_runs, min(plan.finalists, plan.trials) * plan.seeds
    runs = f"{tuned} fine-tuning run{'' if tuned == 1 else 's'}"
    return [
        case.sweep,
        f"  from {source} ({settings.backbone}, {settings.pretext})",
        f"  BiSSL: {bissl}",
        f"  each side: {runs} ({searched}), then {confirmed} runs over {plan.seeds} seeds,",
        "  then one look at the test split",
    ]
