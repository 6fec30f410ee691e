"""Numbers as the board writes them: shares in percent, settings in three digits."""

from collections.abc import Callable
from typing import Any

from bissl_ray.metrics import Metric
from bissl_ray.statistics import Estimate


def percent(fraction: float | None) -> str:
    """Write a score: 0.8421 is "84.2"; nothing for None."""
    return "" if fraction is None else f"{100 * fraction:.1f}"


def relative(fraction: float | None) -> str:
    """Write a relative change in percent, two digits where it is small: 0.0037 is "0.37%"; nothing for None."""
    if fraction is None:
        return ""
    percentage = 100 * fraction
    if percentage < 0.005:
        return "0%"
    return f"{percentage:.2g}%" if percentage < 9.95 else f"{percentage:.0f}%"


def probability(p: float | None) -> str:
    """Write a p: 0.0312 is "0.031", 0.0004 is "<0.001"; nothing for None."""
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def count(number: int | None) -> str:
    """Write a large count in three digits: 30700 is "30.7k", 2400000 is "2.4M"; nothing for None."""
    if number is None:
        return ""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def size(number: int | None) -> str:
    """Write an amount of memory in three digits: 812 MiB, 1.46 GiB, 0 B; nothing for None."""
    if number is None:
        return ""
    for size, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g} {unit}"
    return f"{number} B"


def duration(seconds: float | None) -> str:
    """Write a duration in its two largest units: "45s", "12m 05s", "3h 20m", "2d 04h"; nothing for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    for size, unit, smaller_size, smaller_unit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // smaller_size:02d}{smaller_unit}"
    return f"{whole}s"


def setting(value: Any, digits: int = 3) -> str:
    """Write a hyperparameter: so many significant digits, yes or no, or the text itself; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def with_half(value: Estimate | None, written: Callable[[float], str], metric: Metric) -> str:
    """A mean with half the width of its interval: 94.7 ± 1.1."""
    if value is None:
        return ""
    half = value.half_width
    return written(value.mean) if half is None else f"{written(value.mean)} ± {metric.spread(half)}"
