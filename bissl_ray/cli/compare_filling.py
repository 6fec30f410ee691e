"""What is said once, for a comparison: each dataset has its own data and checkpoints."""

from dataclasses import fields, replace

from bissl_ray.cli.filling import OF_CHECKPOINT, OF_DATA, Filler
from bissl_ray.cli.filling_data import check_datasets, staying
from bissl_ray.config.data_choice import DataPlaces
from bissl_ray.config.options import CompareOptions
from bissl_ray.config.requests import Comparison


class CompareFiller:
    """Fills in what the flags of a comparison left open, and remembers it.

    A comparison that has begun is gone on with as it is; only datasets that a flag adds to it are filled in.
    """

    def __init__(self, filler: Filler, known: Comparison | None):
        self._filler = filler
        self._of_known = {} if known is None else {case.dataset: case.request.data for case in known.cases}
        stay = [line for data in self._of_known.values() for line in staying(data, filler.find, "comparison")]
        self._lines = dict.fromkeys(stay)

    @property
    def lines(self) -> list[str]:
        """One for each value that was filled in so far."""
        return list(self._lines)

    def chosen(self, asked: CompareOptions) -> CompareOptions:
        """The options with datasets, or with the space that names one (raises BadInputError: there is none such)."""
        for_all = self._filler.for_all(asked)[1]
        self._lines |= dict.fromkeys(said.line for said in for_all)
        if self._of_known or asked.from_sweep is not None or asked.datasets or asked.space is not None:
            return asked
        check_datasets(self._filler.said)
        for key in ("dataset", "space"):
            said = self._filler.find(key)
            if said is not None and said.value is not None:
                self._lines[said.line] = None
                return replace(asked, datasets=[said.value]) if key == "dataset" else replace(asked, space=said.value)
        return asked

    def of_dataset(self, asked: CompareOptions, dataset: str) -> CompareOptions:
        """The options as they are for one dataset (raises BadInputError: as `Filler.filled`)."""
        begun = self._of_known.get(dataset)
        leave_out = {*(OF_CHECKPOINT if asked.pretrain_epochs is not None else ()), *(OF_DATA if begun else ())}
        filled, used = self._filler.filled(asked, dataset, leave_out)
        for said in used:
            line = said.line if said.dataset is None else f"{said.dataset}: {said.line}"
            self._lines[line] = None
        if begun is None or not self._filler.said:
            return filled
        # Where the data of cases that it has lie is said by a flag, or stays.
        as_begun = {
            each.name: getattr(begun, each.name) for each in fields(DataPlaces) if each.name in self._filler.open
        }
        return replace(filled, **as_begun)
