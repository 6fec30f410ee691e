"""Numbers as the board writes them: scores in percent, gains in points, settings in three digits."""

from typing import Any


def percent(fraction: float | None) -> str:
    """Write a score: 0.8421 is "84.2"; nothing for None."""
    return "" if fraction is None else f"{100 * fraction:.1f}"


def points(fraction: float | None) -> str:
    """Write a difference of scores with its sign: 0.018 is "+1.8"; nothing for None."""
    return "" if fraction is None else f"{100 * fraction:+.1f}"


def relative(fraction: float | None) -> str:
    """Write a relative change in percent, two digits where it is small: 0.0037 is "0.37%"; nothing for None."""
    if fraction is None:
        return ""
    percentage = 100 * fraction
    if percentage < 0.005:
        return "0%"
    return f"{percentage:.2g}%" if percentage < 9.95 else f"{percentage:.0f}%"


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
