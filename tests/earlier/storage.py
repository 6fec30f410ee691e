"""The storage that release 0.1 left."""

import tarfile
from pathlib import Path

_ARCHIVE = Path(__file__).with_name("release-0.1-storage.tar.xz")


def unpack_release_0_1(folder: Path) -> None:
    """Put it into a folder, as `runs`."""
    with tarfile.open(_ARCHIVE) as archive:
        # Not as an argument of `extractall`, which Python 3.11 takes from its fourth patch on only.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(folder)
