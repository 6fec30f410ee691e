"""`bissl-ray bench`: measurements, as ratios within one run; one file per question, registered by its import."""

from bissl_ray.cli.bench import (
    augment,
    driver,
    hypergradient,
    input_rates,
    leaderboard,
    precision,
    scaling,
    search,
    sharing,
    tasks,
    train,
    turnaround,
)
from bissl_ray.cli.bench.app import bench

__all__ = [
    "augment",
    "bench",
    "driver",
    "hypergradient",
    "input_rates",
    "leaderboard",
    "precision",
    "scaling",
    "search",
    "sharing",
    "tasks",
    "train",
    "turnaround",
]
