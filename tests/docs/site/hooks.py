"""Brings the pages that lie outside docs/ into the site, with their links as they are there."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[3]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "launch/README.md": "recipes.md",
}
"""A file of the repository -> its page."""
_LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)#\s]+)((?:#[^)]*)?\))")
_FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)


def on_files(files: Files, config: Any) -> Files:
    """Add them."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text("utf-8")
        parts = [part if part.startswith("```") else _linked(part, Path(source).parent) for part in _FENCE.split(text)]
        files.append(File.generated(config, page, content="".join(parts)))
    return files


def _linked(text: str, folder: Path) -> str:
    def moved(match: re.Match[str]) -> str:
        named = (folder / match[2]).as_posix().replace("./", "")
        target = PAGES.get(named, named.removeprefix("docs/"))
        return f"{match[1]}{target}{match[3]}"

    return _LINK.sub(moved, text)
