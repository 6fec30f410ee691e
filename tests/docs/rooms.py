"""The picture of rooms and arrows in docs/architecture.md, drawn from the imports.

`python -m tests.docs.rooms --write` brings the page up to date; the test beside this holds it.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
_BLOCK = re.compile(r"(<!-- rooms: .*? -->\n).*?(<!-- /rooms -->)", re.S)


def arrows() -> dict[str, set[str]]:
    """For each room, the rooms that its modules import, those in functions included."""
    graph = grimp.build_graph("bissl_ray", cache_dir=None, exclude_type_checking_imports=True)
    found: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        room = _room(module)
        for imported in graph.find_modules_directly_imported_by(module):
            if room and _room(imported) and _room(imported) != room:
                found[room].add(_room(imported))
        if room:
            found.setdefault(room, set())
    return found


def floors(imports: dict[str, set[str]]) -> list[list[str]]:
    """Rooms by height: each stands above all that it imports, as low as it can; the lowest first.

    Raises:
        ValueError: there is a circle.
    """
    below: list[list[str]] = []
    left = {room: set(others) for room, others in imports.items()}
    while left:
        standing = {room for floor in below for room in floor}
        free = sorted(room for room, others in left.items() if others <= standing)
        if not free:
            raise ValueError(f"rooms import each other in a circle: {', '.join(sorted(left))}")
        below.append(free)
        for room in free:
            del left[room]
    return below


def picture() -> str:
    """The picture: a line of rooms per floor, and of their arrows those that no longer way implies."""
    imports = arrows()
    reach = {room: set[str]() for room in imports}
    for floor in floors(imports):
        for room in floor:
            reach[room] = imports[room] | {far for near in imports[room] for far in reach[near]}
    lines = ["```mermaid", "flowchart TD"]
    for floor in reversed(floors(imports)):
        lines.append("  " + " ~~~ ".join(floor) if len(floor) > 1 else f"  {floor[0]}")
    for room, others in sorted(imports.items()):
        direct = others - {far for near in others for far in reach[near]}
        lines += [f"  {room} --> {other}" for other in sorted(direct)]
    lines.append("```")
    stack = "\n".join(f"{number}. {', '.join(f'`{room}`' for room in floor)}" for number, floor in _numbered(imports))
    return "\n".join(lines) + "\n\nThe same from top to bottom:\n\n" + stack + "\n"


def drawn(page: str) -> str:
    """The page with the picture as it is now."""
    return _BLOCK.sub(lambda match: match[1] + picture() + match[2], page)


def _numbered(imports: dict[str, set[str]]) -> list[tuple[int, list[str]]]:
    return list(enumerate(reversed(floors(imports)), start=1))


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.docs.rooms --write")
    PAGE.write_text(drawn(PAGE.read_text()))
