"""A model of a task, learnt from a stored sweep: what a trial's curve would be, and what its point is worth.

A random forest over all that was searched, as surrogate benchmarks of the field have it (Eggensperger et al. 2015,
"Efficient benchmarking of hyperparameter optimizers via surrogates"); a run is its prediction and the residual of a
trial that it had not seen, so that scores are as noisy as those that were stored. Issue 17.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bissl_ray.config.parameters import CategoricalParameter, Parameter, Point
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.errors import BadInputError
from bissl_ray.search.records import Record

LEAST: Final = 20
"""Trials to learn from."""
_TREES: Final = 300
_LEAF: Final = 3

Curve = NDArray[np.float64]


class Surrogate:
    """What trials of a task come to.

    Attributes:
        alternations: of a trial.
        trials: that it has learnt from.
        explained: share of the spread of the last score that the forest explains, out of bag.
    """

    def __init__(self, space: SearchSpace, records: Sequence[Record]) -> None:
        """Learn.

        Args:
            space: of the sweep.
            records: its explore trials that ran to their end.

        Raises:
            BadInputError: there are too few of them, or they are of different lengths.
        """
        from sklearn.ensemble import RandomForestRegressor

        lengths = {max(record.curve, default=0) for record in records}
        if len(records) < LEAST or len(lengths) != 1:
            raise BadInputError(
                f"found {len(records)} whole explore trials of {', '.join(map(str, sorted(lengths)))} alternations; "
                f"expected {LEAST} or more of one length, proposed at random: sampler: random, early_stopping: false"
            )
        (self.alternations,) = lengths
        self.trials = len(records)
        self._parameters: Mapping[str, Parameter] = space.parameters
        points = np.array([self._features(record.point) for record in records])
        curves = np.array([[record.curve[a] for a in range(1, self.alternations + 1)] for record in records])
        self._forest = RandomForestRegressor(_TREES, min_samples_leaf=_LEAF, oob_score=True, random_state=0)
        self._forest.fit(points, curves if self.alternations > 1 else curves[:, 0])
        unseen = np.asarray(self._forest.oob_prediction_).reshape(curves.shape)
        self._residuals = curves - unseen
        spread = float(np.var(curves[:, -1]))
        self.explained = 1 - float(np.mean(self._residuals[:, -1] ** 2)) / spread if spread else 0.0

    def worth(self, point: Point) -> float:
        """The mean of what a point comes to, over seeds."""
        return float(self._mean(point)[-1])

    def run(self, point: Point, drawn: np.random.Generator) -> Curve:
        """The scores of one trial, an alternation each, with one seed's luck."""
        found: Curve = self._mean(point) + self._residuals[drawn.integers(self.trials)]
        return found

    def _mean(self, point: Point) -> Curve:
        found = self._forest.predict(np.array([self._features(point)]))
        return np.asarray(found, dtype=np.float64).reshape(self.alternations)

    def _features(self, point: Mapping[str, Any]) -> list[float]:
        return [_feature(parameter, point.get(name)) for name, parameter in self._parameters.items()]


def _feature(parameter: Parameter, value: Any) -> float:
    if isinstance(parameter, CategoricalParameter):
        return float(parameter.choices.index(value)) if value in parameter.choices else -1.0
    if value is None:
        return 0.0
    return math.log(value) if parameter.log else float(value)
