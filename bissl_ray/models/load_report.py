"""What came of loading weights into a backbone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

_EXAMPLES = 2


@dataclass(frozen=True)
class LoadReport:
    """Which tensors of a backbone came from a file.

    Attributes:
        source: the file.
        architecture: the backbone.
        matched: how many of the backbone's tensors came from the file, counters of batches seen left out.
        expected: how many tensors the backbone has, these counters left out.
        missing: names of those that the file lacks.
        unexpected: names in the file that the backbone hasn't; heads are not among them.
        misshapen: what has another shape, as "NAME (2, 3) instead of (2, 4)".
        numberless: names of those in whose place are truths or whole numbers, with what they are.
        heads: how many tensors of classification layers, projectors and the like were left out.
        notes: what else happened, in words.
    """

    source: str
    architecture: str
    matched: int
    expected: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    numberless: tuple[str, ...] = ()
    heads: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether the whole backbone came from the file, and the file holds nothing of another one."""
        return not (self.missing or self.unexpected or self.misshapen or self.numberless)

    @property
    def counts(self) -> str:
        """How many tensors match, are missing, unexpected, of another shape: with examples."""
        return ", ".join(
            [
                f"{self.matched} of its {self.expected} tensors match",
                _counted("missing", self.missing),
                _counted("unexpected", self.unexpected),
                _counted("of another shape", self.misshapen),
            ]
        )

    def __str__(self) -> str:
        """One line for a person."""
        parts = [f"{self.architecture} from {self.source}: {self.counts}"]
        if self.heads:
            parts.append(f"{self.heads} of heads left out")
        if self.missing or self.misshapen or self.numberless:
            parts.append("what did not match keeps fresh weights")
        if self.unexpected:
            parts.append("the unexpected are left out")
        return "; ".join([*parts, *self.notes])


def _counted(what: str, names: Sequence[str]) -> str:
    if not names:
        return f"0 {what}"
    return f"{len(names)} {what} ({', '.join(names[:_EXAMPLES])}{', ...' if len(names) > _EXAMPLES else ''})"
