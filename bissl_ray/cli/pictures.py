"""What a verb prints, as a picture with its colours: SVG, or one HTML page."""

import html
import io
from typing import Final

from rich.console import Console

_PICTURE_WIDTH: Final = 160
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>@TITLE@</title></head>
<body style="color: #1f2328; background: #ffffff">
<pre style="font-family: ui-monospace, Menlo, Consolas, monospace; overflow-x: auto">{code}</pre>
</body>
</html>"""


def recorder() -> Console:
    """A terminal that nobody looks at, wide enough for a whole board: what is printed there becomes a picture."""
    return Console(file=io.StringIO(), record=True, width=_PICTURE_WIDTH, force_terminal=True, color_system="truecolor")


def recorded(console: Console, form: str, title: str) -> str:
    """What a `recorder` was shown, with its colours.

    Args:
        console: the recorder.
        form: svg or html: one file, that needs no other.
        title: of the picture.
    """
    if form == "svg":
        return console.export_svg(title=title)
    page = console.export_html(inline_styles=True, code_format=_PAGE)
    return page.replace("@TITLE@", html.escape(title))
