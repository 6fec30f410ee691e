"""What was said where, and which of it holds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bissl_ray.addresses import without_secrets
from bissl_ray.config.said_once.keys import KEYS


@dataclass(frozen=True)
class Said:
    """A value and where it was said.

    Attributes:
        key: its name, with dashes.
        value: as a flag would give it; None: nothing, whatever is said less nearby.
        origin: such as "bissl-ray.toml:3" or "environment BISSL_RAY_DATA_DIR".
        dataset: that it is of; None: any.
    """

    key: str
    value: Any
    origin: str
    dataset: str | None = None

    @property
    def shown(self) -> str:
        """The value as it may be printed."""
        match self.value:
            case None:
                return "none"
            case bool():
                return str(self.value).lower()
            case tuple():
                return ", ".join(map(without_secrets, self.value))
        return without_secrets(str(self.value))

    @property
    def line(self) -> str:
        """The key with its value, and where it came from."""
        return f"{self.key} {self.shown}: {self.origin}"


@dataclass(frozen=True)
class Layer:
    """All that one file says, or the environment: by dataset (None: any) and key."""

    name: str
    said: Mapping[tuple[str | None, str], Said]

    def find(self, key: str, dataset: str | None) -> Said | None:
        """What it says of a key: of the dataset, else of any."""
        of_dataset = None if dataset is None else self.said.get((dataset, key))
        return of_dataset or self.said.get((None, key))


@dataclass(frozen=True)
class SaidOnce:
    """All that is said once; what comes first holds."""

    layers: Sequence[Layer] = ()

    def find(self, key: str, dataset: str | None = None) -> Said | None:
        """What holds for a key, or None where nobody says anything.

        What says more about another key (`Key.beside`) is taken from where that was said, and nowhere else: a head
        belongs to the checkpoint that it is said with.

        Args:
            key: its name.
            dataset: that it is asked for; None: only what is said of any.
        """
        partner = KEYS[key].beside
        if partner is not None:
            for layer in self.layers:
                if (said := layer.find(partner, dataset)) is not None:
                    return layer.said.get((said.dataset, key))
            return None
        return next((said for layer in self.layers if (said := layer.find(key, dataset)) is not None), None)

    @property
    def every(self) -> Iterator[Said]:
        """Whatever is said anywhere."""
        for layer in self.layers:
            yield from layer.said.values()

    @property
    def datasets(self) -> dict[str, list[Said]]:
        """The datasets that have values of their own, with these."""
        found: dict[str, list[Said]] = {}
        for said in self.every:
            if said.dataset is not None:
                found.setdefault(said.dataset, []).append(said)
        return found

    def __bool__(self) -> bool:
        """Whether anything is said at all."""
        return any(True for _ in self.every)
