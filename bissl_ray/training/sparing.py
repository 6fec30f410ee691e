"""A second try for a run that was out of memory: what can be recomputed is, so that less is held. Results are the same.

Activations of pretext steps, by blocks or chunks; those of downstream steps, by blocks; the curvature, anew for each
product. Exact, and slower: each block's forward runs twice, and the gradient graph is built for every product.
"""

from typing import Any

from bissl_ray.config.settings import Settings
from bissl_ray.models import Backbone
from bissl_ray.training.lower_memory import ways_to_spare
from bissl_ray.training.order import Order


def spared(settings: Settings, backbone: Backbone) -> Settings:
    """The settings that take the least memory of those with the same results."""
    changes: dict[str, Any] = {"replay": "off"}
    ways = ways_to_spare(backbone)
    if settings.lower_memory in ("whole", "auto") and ways:
        # Blocks hold less than chunks where both are exact, and take no longer.
        changes["lower_memory"] = ways[-1]
    if settings.curvature_products == "graph":
        changes["curvature_products"] = "recompute"
    return settings.model_copy(update=changes)


def sparing_order(order: Order, backbone: Backbone, seconds: float) -> Order | None:
    """The order for a second try; None: it was one already, or there is nothing to spare.

    Args:
        order: what ran out of memory.
        backbone: the trial's.
        seconds: that it has taken, in all.
    """
    if order.spared_after is not None:
        return None
    if spared(order.settings, backbone) == order.settings and not backbone.blocks():
        return None
    return order.model_copy(update={"spared_after": seconds})


def once_more(short_of_memory: str) -> str:
    """What to say of a run that ran out of memory, and has a second try."""
    return f"{short_of_memory.partition('; ')[0]}; once more, with what can be recomputed: slower, the same results"
