"""The figures that models are judged by: what each is called, which way is better, and how it is written.

A task that brings a figure of its own adds it to `METRICS`.
"""

from dataclasses import dataclass
from typing import Final

from bissl_ray.plugins import load_plugins


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

    @property
    def in_tables(self) -> str:
        """`objective_name`, less the minus that a reader doesn't see."""
        return self.objective_name if self.larger_is_better else f"validation_{self.name} (less is better)"

    def objective(self, value: float) -> float:
        """The value as a search compares it, the larger, the better; and from that the value again."""
        return value if self.larger_is_better else -value

    def score(self, objective: float | None, unit: str = "%") -> str:
        """Write an objective as the figure that it is: "84.2%", or "0.25" where it is no share; nothing for None."""
        if objective is None:
            return ""
        value = self.objective(objective)
        return f"{100 * value:.1f}{unit}" if self.share else f"{value:z.4g}"

    def spread(self, half_width: float | None) -> str:
        """Write half the width of an interval in the unit of the score; nothing for None."""
        if half_width is None:
            return ""
        return f"{100 * half_width:.1f}" if self.share else f"{half_width:.3g}"

    def gain(self, difference: float | None, unit: str = "") -> str:
        """Write by how much an objective is better, never "-0.0": "+1.8" (points), "+0.012"; nothing for None."""
        if difference is None:
            return ""
        return f"{100 * difference:+z.1f}{unit}" if self.share else f"{difference:+z.3g}"


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("top1", "top-1"),
        Metric("top5", "top-5"),
        Metric("mean_per_class", "per class"),
        Metric("map11", "11-pt mAP"),
        Metric("map", "mAP"),
        Metric("ap", "AP"),
        Metric("ap50", "AP50"),
        Metric("ap75", "AP75"),
        Metric("voc07_ap50", "VOC07 AP50"),
        Metric("voc12_ap50", "VOC12 AP50"),
    )
}
"""Every figure by its name."""


def of_objective(name: str | None) -> Metric:
    """The metric behind an `objective_name` of the store.

    One that neither the table nor a plugin knows is written as it is, in no unit; "neg_" says that less is better.

    Args:
        name: None: of a row without a score.
    """
    known = (name or "objective").removeprefix("validation_")
    plain = known.removeprefix("neg_")
    if known not in METRICS and plain not in METRICS:
        load_plugins()
    unknown = Metric(plain, plain, larger_is_better=known == plain, share=name is None)
    return METRICS.get(known) or METRICS.get(plain) or unknown


def in_words(objective_name: str, objective: float) -> str:
    """An objective with what it is called: "top-1 94.3%"."""
    metric = of_objective(objective_name)
    return f"{metric.title} {metric.score(objective)}"
