"""Fills what a command line left open from what is said once (`config.said_once`)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_type_hints

import typer

from bissl_ray.cli.filling_data import check_datasets, if_it_has_a_split, is_embedded
from bissl_ray.config.data_choice import DataPlaces
from bissl_ray.config.flags import keys_of
from bissl_ray.config.said_once import KEYS, Said, SaidOnce, read_all
from bissl_ray.config.said_once.values import without_label
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)

OF_DATA: Final = frozenset(keys_of(DataPlaces).values())
"""Keys that say where data lie, which, and how many."""
OF_CHECKPOINT: Final = frozenset({"pretrained", "pretrained-head", "allow-partial"})
"""Keys that say what training starts from."""


_ORDER: Final = tuple(KEYS)


@dataclass(frozen=True)
class Filler:
    """What a command line left open, and what is said once.

    Attributes:
        said: all that is.
        open: by field that no flag gave, its key.
        given: keys that a flag gave.
    """

    said: SaidOnce
    open: Mapping[str, str]
    given: frozenset[str]

    def find(self, key: str, dataset: str | None = None) -> Said | None:
        """What is said once of a key, where no flag gave it (as `SaidOnce.find`)."""
        return self.said.find(key, dataset) if key in self.open.values() else None

    def for_all(self, asked: "T") -> "tuple[T, list[Said]]":
        """Fill in what is the same for every dataset, but for the dataset itself: that is the verb's to choose."""
        if not self.said:
            return asked, []
        return self._filled(asked, None, [key for key, each in KEYS.items() if each.of_dataset or key == "dataset"])

    def filled(self, asked: "T", dataset: str | None, leave_out: Collection[str] = ()) -> "tuple[T, list[Said]]":
        """Fill in what holds for one dataset.

        Args:
            asked: the options.
            dataset: its name; None: it isn't known yet, and what is said of single ones is passed over.
            leave_out: keys that something else decides here.

        Returns:
            The options, and what was filled in.

        Raises:
            BadInputError: something is said of a dataset that there isn't, or what is said doesn't fit this verb.
        """
        if not self.said:
            return asked, []
        check_datasets(self.said)
        filled, used = self._filled(asked, dataset, {"dataset", *leave_out})
        used.sort(key=lambda said: _ORDER.index(said.key))
        return self._with_pretext_folder(filled, used, leave_out)

    def _filled(self, asked: "T", dataset: str | None, leave_out: Collection[str]) -> "tuple[T, list[Said]]":
        hints = get_type_hints(type(asked))
        open_keys = set(self.open.values()) - {*leave_out}
        values: dict[str, Any] = {}
        used = []
        for field, key in self.open.items():
            beside = KEYS[key].beside
            if key not in open_keys or (beside is not None and beside not in open_keys):
                continue
            said = self.said.find(key, dataset)
            if said is None or (key == "data-dir" and said.dataset is None and is_embedded(dataset)):
                continue
            said = if_it_has_a_split(said, dataset)
            if said.value is not None:
                values[field] = _as_flag(said, several=list[str] in get_args(hints[field]))
                if isinstance(values[field], str):
                    said = replace(said, value=values[field])
            used.append(said)
        return replace(asked, **values), used

    def _with_pretext_folder(self, asked: "T", used: list[Said], leave_out: Collection[str]) -> "tuple[T, list[Said]]":
        """What is said of a dataset says where it lies for the pretext, too."""
        pretext = getattr(asked, "pretext_dataset", None)
        if pretext is None or "pretext_data_dir" not in self.open or "pretext-data-dir" in leave_out:
            return asked, used
        said = self.said.find("data-dir", pretext)
        of_all = said is None or (said.dataset is None and "data-dir" in self.given)
        if said is None or said.value is None or of_all or getattr(asked, "pretext_data_dir", None) is not None:
            return asked, used
        found: dict[str, Any] = {"pretext_data_dir": said.value}
        return replace(asked, **found), [*used, replace(said, key="pretext-data-dir")]


def filler_of(options: type, context: typer.Context, fields: Collection[str]) -> Filler:
    """Read what is said once, for a verb that has been called (raises BadInputError).

    Args:
        options: of the verb.
        context: of the call.
        fields: that are flags of this verb.
    """
    keys = {field: key for field, key in keys_of(options).items() if field in fields}
    left_open = {field: key for field, key in keys.items() if _is_open(context, field)}
    given = frozenset(key for field, key in keys.items() if field not in left_open)
    return Filler(read_all() if keys else SaidOnce(), left_open, given)


def _is_open(context: typer.Context, field: str) -> bool:
    source = context.get_parameter_source(field)
    return source is None or source.name == "DEFAULT"


def _as_flag(said: Said, *, several: bool) -> Any:
    """The value as the flag gives it, which may be taken once or several times."""
    if said.key != "pretrained":
        return [said.value] if several else said.value
    if several:
        return list(said.value)
    if len(said.value) > 1:
        raise BadInputError(
            f"{said.origin}: pretrained names {len(said.value)} checkpoints, which is for compare; here one is needed: "
            "give --pretrained FILE"
        )
    return without_label(said.value[0])
