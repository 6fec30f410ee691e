"""What a job writes down about its data, looked at here or where its workers will be."""

from dataclasses import dataclass

from bissl_ray.data import DataChoice
from bissl_ray.data.cache_folder import check_cache_folder
from bissl_ray.errors import BadInputError


@dataclass(frozen=True)
class DataFacts:
    """What a job writes down about its data, and shows.

    Attributes:
        fingerprint: of the files and the splits.
        classes: number of classes.
        sizes: images by split.
        class_names: of each class, by its label; None where the files have none.
    """

    fingerprint: str
    classes: int
    sizes: dict[str, int]
    class_names: tuple[str, ...] | None = None

    @property
    def in_words(self) -> str:
        """Classes, images and fingerprint, for a line."""
        sizes = ", ".join(f"{count} {name}" for name, count in self.sizes.items())
        return f"{self.classes} classes; {sizes} images; fingerprint {self.fingerprint[:12]}"


def inspect_data(data: DataChoice) -> DataFacts:
    """Open a dataset and look at its splits, without decoding images.

    Raises:
        BadInputError: it is not there, incomplete or damaged; or $BISSL_RAY_CACHE names no folder to decode it into.
    """
    splits = data.open()
    if not data.spec.embedded:
        check_cache_folder()
    parts = {name: len(getattr(splits, name)) for name in ("pretext", "train", "validation", "test")}
    return DataFacts(splits.fingerprint, splits.classes, parts, splits.class_names)


def inspect_remotely(data: DataChoice) -> DataFacts:
    """Look at the data where the workers will: a laptop that attaches to a cluster need not have them.

    Connected to Ray.

    Raises:
        BadInputError: as `inspect_data`.
    """
    import ray
    from ray.exceptions import RayTaskError

    # A CPU, to be where workers may be: a head node without any need not have the data.
    task = ray.remote(num_cpus=1)(inspect_data)
    try:
        facts: DataFacts = ray.get(task.remote(data))
    except RayTaskError as error:
        if isinstance(error.cause, BadInputError):
            raise BadInputError(f"on the cluster: {error.cause}") from error
        raise
    return facts
