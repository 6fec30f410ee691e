"""Hyperband's brackets: who hedges against scores that say little early lets some trials start at a later rung.

Li et al. 2018, "Hyperband: a novel bandit-based approach to hyperparameter optimization", algorithm 1 (issue 17).
Bracket 0 has all rungs, each further one lacks one more of the first; of R brackets the b-th gets trials in proportion
to r^(R-1-b) / (R-b), so that each of them takes about as much; here they are dealt out evenly over the whole sweep.
"""

from bissl_ray.config.protocol import Protocol


class Brackets:
    """Deals trials to brackets by their number alone: the same after a resume, whatever the order in which they end."""

    def __init__(self, protocol: Protocol, alternations: int) -> None:
        """Set up.

        Args:
            protocol: grace, reduction factor and brackets.
            alternations: of the longest trial that there may be.
        """
        self._rungs = protocol.rungs(alternations)
        # The last that there can be has no rung left: its trials go to their end.
        self.count = min(protocol.brackets, len(self._rungs) + 1)
        factor, count = protocol.reduction_factor, self.count
        weights = [factor ** (count - 1 - b) / (count - b) for b in range(count)]
        self.shares = [weight / sum(weights) for weight in weights]
        """Of all trials, by bracket."""
        self._dealt: list[int] = []
        self._given = [0] * count

    def of(self, trial: str) -> int:
        """The bracket of an explore trial, by its name."""
        if self.count == 1:
            return 0
        number = int(trial.removeprefix("t"))
        while len(self._dealt) <= number:
            dealt = len(self._dealt) + 1
            owed = [share * dealt - given for share, given in zip(self.shares, self._given, strict=True)]
            bracket = max(range(self.count), key=owed.__getitem__)
            self._given[bracket] += 1
            self._dealt.append(bracket)
        return self._dealt[number]

    def rungs(self, bracket: int) -> list[int]:
        """Alternations after which the trials of a bracket are compared, with each other."""
        return self._rungs[bracket:]
