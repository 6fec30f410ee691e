"""Find shipped files, and search space files by name or path; read a space with all that it extends."""

from importlib.resources import files
from pathlib import Path
from typing import Literal

from bissl_ray.addresses import without_secrets
from bissl_ray.config.setting_rules import truths
from bissl_ray.config.yaml_document import Document, read_document
from bissl_ray.errors import BadInputError, nearest

Kind = Literal["search_spaces", "launch"]
"""Of shipped files, by the folder that they lie in."""


def resource_dir(kind: Kind) -> Path:
    """Find a folder of shipped files, by its name.

    A wheel carries it under ``bissl_ray/_resources`` (pyproject.toml, force-include); in a checkout, also
    when installed editable, it lies beside the package.

    Raises:
        FileNotFoundError: the installation is broken: neither place has the folder.
    """
    package = Path(str(files("bissl_ray")))
    places = (package / "_resources" / kind, package.parent / kind)
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{kind}: neither {places[0]} nor {places[1]} exists; install bissl-ray again")


def shipped_spaces() -> list[str]:
    """Names of the shipped spaces that can be swept, sorted; bases, which name no dataset, are left out."""
    return [name for name, path in _shipped().items() if "dataset" in read_document(path, _label(path)).values]


_OWN = ("folder", "coco")
"""Datasets of which a person may have several, each with a name: folder-NAME."""


def find_space(name_or_path: str | Path) -> Path:
    """Find the file of a search space.

    Args:
        name_or_path: a shipped space's name, which wins over a file of that name, or a file. A dataset folder-NAME
            or coco-NAME that has no file of its own takes the space of all of its kind.

    Returns:
        The file, which exists.

    Raises:
        BadInputError: there is none; names the shipped ones.
    """
    name = str(name_or_path)
    found = _named(name, beside=Path())
    kind, dash, _ = name.partition("-")
    if found is None and dash and kind in _OWN:
        found = _named(kind, beside=Path())
    if found is None:
        names = shipped_spaces()
        raise BadInputError(
            f"{without_secrets(str(name_or_path))}: no such search space, expected a file or one of {', '.join(names)}"
            + nearest(Path(name_or_path).stem, names)
        )
    return found


def read_chain(path: Path) -> list[Document]:
    """Read a space file and all that it extends, what is extended before what extends it.

    Raises:
        BadInputError: a file that can't be read, an unknown name under ``extends``, or a cycle.
    """
    documents: list[Document] = []
    seen: list[Path] = []
    while True:
        document = read_document(path, _label(path), truths())
        documents.insert(0, document)
        seen.append(path.resolve())
        parent = document.values.get("extends")
        # A value that can't be a name is left to the validation of the file, which words it.
        if not isinstance(parent, str) or parent == "":
            return documents
        place = document.place(("extends",))
        try:
            found = _named(parent, beside=path.parent)
        except OSError as error:
            raise BadInputError(
                f"{place}: extends: found {parent!r}, which can't be read ({error.strerror}); "
                f"expected the name of a space, or a file"
            ) from None
        if found is None:
            raise BadInputError(
                f"{place}: extends: found {parent!r}, expected one of {', '.join(_shipped())} "
                f"or a file relative to this one{nearest(parent, _shipped())}"
            )
        if found.resolve() in seen:
            labels = [layer.label for layer in reversed(documents)]
            raise BadInputError(
                f"{place}: extends: found a cycle, {' -> '.join([*labels, _label(found)])}; expected a chain that ends"
            )
        path = found


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(resource_dir("search_spaces").glob("*.yaml"))}


def _named(name: str, beside: Path) -> Path | None:
    """The shipped space of that name; else the file, given with or without .yaml, relative to a folder."""
    if name in _shipped():
        return _shipped()[name]
    candidates = (beside / name, beside / f"{name}.yaml")
    return next((path for path in candidates if path.is_file()), None)


def _label(path: Path) -> str:
    """Name a file: a shipped one alike in a wheel and in a checkout, any other as it was given."""
    return f"search_spaces/{path.name}" if path.parent == resource_dir("search_spaces") else str(path)
