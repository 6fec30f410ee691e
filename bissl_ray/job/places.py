"""Folders and files as workers elsewhere can use them."""

from pathlib import Path

from bissl_ray.errors import BadInputError


def absolute_storage(storage: str | Path) -> str:
    """The storage as workers in other folders can use it: a URI as it is, a path made absolute.

    Raises:
        BadInputError: a URI with options.
    """
    text = str(storage)
    if "?" in text and "://" in text:
        raise BadInputError(
            f"--storage {text}: options after '?' don't reach Ray; set them in the environment (AWS_REGION, "
            "AWS_ENDPOINT_URL and the like), and give the plain URI"
        )
    return str(absolute_file(text))


def absolute_file(path: str | Path | None) -> str | None:
    """A file as processes in other folders find it: a URI as it is, a path made absolute; None for None."""
    return str(path) if path is not None and "://" in str(path) else absolute_path(path)


def absolute_path(path: str | Path | None) -> str | None:
    """A path made absolute; None for None."""
    return None if path is None else str(Path(path).expanduser().absolute())
