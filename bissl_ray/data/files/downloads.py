"""Downloads, made only when a person asks for one."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path


def by_torchvision(reader: str, *arguments: Mapping[str, str]) -> Callable[[Path], None]:
    """Make a `DatasetSpec.download` of a torchvision reader's own download.

    Args:
        reader: its class in `torchvision.datasets`.
        arguments: to call it with, once per mapping; none: once, without any.

    Returns:
        A function of the data folder. It raises OSError when the files can't be fetched or aren't as published.
    """

    def download(folder: Path) -> None:
        from torchvision import datasets

        folder = folder.expanduser()
        for keywords in arguments or ({},):
            _fetch(folder, partial(getattr(datasets, reader), folder, download=True, **keywords))

    return download


def archive(url: str, md5: str) -> Callable[[Path], None]:
    """Make a `DatasetSpec.download` that unpacks one published archive into the data folder.

    Args:
        url: where it is published.
        md5: of the archive, in hexadecimal, as published.

    Returns:
        A function of the data folder. It raises OSError when the archive can't be fetched or isn't as published.
    """

    def download(folder: Path) -> None:
        from torchvision.datasets.utils import download_and_extract_archive

        folder = folder.expanduser()
        _fetch(folder, partial(download_and_extract_archive, url, str(folder), md5=md5))

    return download


def _fetch(folder: Path, fetch: Callable[[], object]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fetch()
    except Exception as error:  # urllib, tarfile, zipfile and torchvision raise a dozen kinds
        raise OSError(
            f"the download into {folder} failed ({type(error).__name__}: {error}); remove what it left there and try "
            "again, or fetch the files by hand"
        ) from error
