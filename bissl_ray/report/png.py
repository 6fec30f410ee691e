"""The main figures of a report as PNG files, by kaleido, which draws in a Chromium without a window."""

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.report.elements import Plot, Width

_EXTRA: Final = "pip install 'bissl-ray[report]'"
_SCALE: Final = 2.0
"""Pixels of a file per pixel of the figure."""
_WIDTHS: Final[dict[Width, int]] = {"whole": 1100, "half": 760, "third": 560}
_TITLE: Final = 60
"""Pixels that a title takes, which stands above the figure on the page."""


def check_png(folder: Path) -> None:
    """Make sure, before anything is read, that figures can be drawn into a folder, which is made where it is missing.

    Raises:
        BadInputError: a file is in its place, or kaleido or Chromium is not installed.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"--png {folder}: found a file, expected a folder")
    if not folder.exists() and not folder.parent.is_dir():
        raise BadInputError(f"--png {folder}: there is no folder {folder.parent}; make it, or give another path")
    if find_spec("kaleido") is None:
        raise BadInputError(f"--png takes kaleido, which is not installed: {_EXTRA}")
    from choreographer.browsers.chromium import Chromium

    if Chromium.find_browser(skip_local=False) is None:
        raise BadInputError(
            "--png draws in Chromium or Chrome, and found neither: apt-get install chromium, or kaleido_get_chrome; "
            "BROWSER_PATH says where one is"
        )


def write_png(plots: Sequence[Plot], folder: Path) -> list[Path]:
    """Write the main figures, each as KEY.png, on white.

    Raises:
        RunFailedError: the browser fails, or a file can't be written.
    """
    import plotly.graph_objects as go
    import plotly.io

    folder.mkdir(exist_ok=True)
    main = [plot for plot in plots if plot.main and plot.figure is not None]
    figures, files = [], [folder / f"{plot.key}.png" for plot in main]
    for plot in main:
        figure = go.Figure(plot.figure)
        figure.update_layout(template="plotly_white", paper_bgcolor="white", title={"text": plot.title})
        figure.update_layout(margin={"t": 90})
        figures.append(figure)
    widths = [_WIDTHS[plot.width] for plot in main]
    heights = [plot.height + _TITLE for plot in main]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plotly.io.write_images(figures, list(map(str, files)), scale=_SCALE, width=widths, height=heights)
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise RunFailedError(f"--png {folder}: Chromium failed to draw ({said}); the report is written") from error
    return files
