"""Proximity weights of a trial: from one number, or one per stage of the backbone, to one per parameter tensor."""

from bissl_ray.config.settings import Settings
from bissl_ray.config.stages import stage_weight
from bissl_ray.models import Backbone


def proximity_weights(settings: Settings, backbone: Backbone) -> float | tuple[float, ...]:
    """λ of every trainable parameter tensor of a backbone.

    Stage i, counted from the input, has the weight that is set for it, else proximity_weight · proximity_decay^i.

    Args:
        settings: proximity_weight, proximity_decay and proximity_weight_<stage> are read.
        backbone: the architecture that they are for.

    Returns:
        One weight per tensor, in the module's order; a single number where all are equal.
    """
    by_stage: dict[str, float] = {}
    for depth, stage in enumerate(backbone.stages):
        own: float | None = getattr(settings, stage_weight(stage))
        by_stage[stage] = settings.proximity_weight * settings.proximity_decay**depth if own is None else own
    weights = tuple(by_stage[stage] for stage in backbone.parameter_stages())
    return weights[0] if len(set(weights)) == 1 else weights
