"""`bissl-ray bench sharing`."""

from dataclasses import dataclass

from bissl_ray.cli.bench.app import LONGEST_TURN, Figures, bench, counts
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag


@dataclass(frozen=True, kw_only=True)
class _SharingOptions(Figures):
    """How many trials, for how long: see `benchmarks.sharing.Question`."""

    trials: str = flag("Numbers of trials; the first is compared with.", default="1,2,4", metavar="N,N,...")
    seconds: float = flag("Length of each measurement, about.", default=10.0, least=0.1, most=LONGEST_TURN)


@bench.command()
@takes(_SharingOptions)
def sharing(asked: _SharingOptions) -> None:
    """Trials of the digits' size, several at the same time on one device: steps per second, of each and together."""
    from bissl_ray.benchmarks.sharing import Question, measure_sharing
    from bissl_ray.benchmarks.sharing_table import sharing_table

    trials = counts("--trials", asked.trials)
    asked.check()
    measured = measure_sharing(Question(trials, asked.seconds))
    asked.write(measured, sharing_table(measured))
