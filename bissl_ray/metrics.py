"""The figures that models are judged by: what each is called, which way is better, and how it is written.

A task that brings a figure of its own adds it to `METRICS`.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Metric:
    """The facts about one figure over a split."""

    name: str
    """As datasets name it and evaluations give it: `top1`."""
    title: str
    """What it is called in tables."""
    larger_is_better: bool = True
    share: bool = True
    """Whether it lies in [0, 1] and is written in per cent."""

    @property
    def objective_name(self) -> str:
        """What a search calls it: it maximises, so that of a figure to be small it takes the negative, and says so."""
        return f"validation_{self.name}" if self.larger_is_better else f"validation_neg_{self.name}"

    def objective(self, value: float) -> float:
        """The value as a search compares it: the larger, the better."""
        return value if self.larger_is_better else -value


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("top1", "top-1"),
        Metric("top5", "top-5"),
        Metric("mean_per_class", "per class"),
        Metric("map11", "11-pt mAP"),
        Metric("map", "mAP"),
    )
}
"""Every figure by its name."""


def in_words(objective_name: str, objective: float) -> str:
    """An objective as a person reads it: "top-1 94.3%", or the figure itself where it is no share."""
    name = objective_name.removeprefix("validation_")
    metric = METRICS.get(name) or METRICS.get(name.removeprefix("neg_")) or Metric(name, name)
    value = metric.objective(objective)  # its own inverse
    return f"{metric.title} {100 * value:.1f}%" if metric.share else f"{metric.title} {value:.4g}"
