"""docs/architecture.md is true: its picture is that of the imports, its paths and sections are there."""

import re
from pathlib import Path

import pytest

from tests.docs.rooms import PAGE, ROOT, arrows, drawn, floors

TEXT = PAGE.read_text()


def test_the_picture_is_that_of_the_imports() -> None:
    assert drawn(TEXT) == TEXT, "imports have changed: python -m tests.docs.rooms --write"


def test_there_are_no_circles_and_a_circle_would_be_found() -> None:
    assert floors(arrows())
    with pytest.raises(ValueError, match="in a circle: a, b"):
        floors({"a": {"b"}, "b": {"a"}, "c": set()})


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:bissl_ray|tests|docs)/[\w/.]+)`", TEXT))))
def test_every_path_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([a-z]+(?:/[\w]+)*/\w+\.py)(?::\w+)?`", TEXT))))
def test_every_module_is_there(path: str) -> None:
    assert (ROOT / path).exists() or (ROOT / "bissl_ray" / path).exists()


def test_every_room_is_told_of() -> None:
    rooms = {path.name for path in (ROOT / "bissl_ray").iterdir() if (path / "__init__.py").is_file()}
    table = TEXT.split("## Rooms and arrows")[1].split("## Where things are")[0]
    told = set(re.findall(r"`(\w+)/`", table))
    assert rooms <= told


def test_a_section_that_code_cites_is_there() -> None:
    cited = set()
    for file in (ROOT / "bissl_ray").rglob("*.py"):
        source = re.sub(r"\s+", " ", file.read_text())
        cited |= set(re.findall(r'docs/architecture\.md, "([^"]+)"', source))
        assert "DESIGN section" not in source, file
    assert cited and all(f"## {section}\n" in TEXT for section in cited)


def test_every_package_says_what_it_holds() -> None:
    for package in (ROOT / "bissl_ray").rglob("__init__.py"):
        assert package.read_text().startswith('"""'), package


def test_pages_that_pages_link_to_are_there() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *Path(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(((?!https?:)[^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)
