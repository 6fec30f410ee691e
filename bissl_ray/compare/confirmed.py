"""What a configuration was confirmed with."""

from statistics import fmean

from bissl_ray.config.columns import settings_of_row
from bissl_ray.config.settings import Settings
from bissl_ray.leaderboard.configurations import Configuration, finite


def as_confirmed(chosen: Configuration) -> tuple[Settings, int]:
    """The settings that a configuration's seeds ran with, and their products with the lower Hessian, a mean.

    Args:
        chosen: with one confirmation run at least.
    """
    products = [finite(row["hvps"]) or 0.0 for row in chosen.seeds]
    return Settings.model_validate(settings_of_row(chosen.seeds[0])), round(fmean(products))
