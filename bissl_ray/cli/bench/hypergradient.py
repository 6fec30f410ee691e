"""`bissl-ray bench hypergradient`."""

from contextlib import ExitStack
from dataclasses import dataclass, fields, replace

from bissl_ray.cli.bench.app import Figures, bench
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag
from bissl_ray.errors import BadInputError

_MOST_DAMPING = 1e30
"""Single precision holds no more than 3e38, and the solve multiplies by it."""


@dataclass(frozen=True, kw_only=True)
class _HypergradientOptions(Figures):
    """What is solved, and how: see `benchmarks.problem.Question` and `measure_hypergradient`."""

    backbone: str = flag("Architecture, as the setting of that name.", default="resnet18")
    batch: int = flag("Images per batch, over all workers.", default=16, least=4)
    size: int = flag("Side of the images, pixels.", default=96, least=8)
    workers: int = flag("Worker processes: gloo, or nccl with a GPU each.", default=1, least=1)
    upper_steps: int = flag("Linear solves of the stage.", default=8, least=1)
    pretrained: str | None = flag("Checkpoint to measure at; else a short pretraining.")
    pretrain_steps: int = flag("Steps of that pretraining.", default=300, least=1)
    damping: float | None = flag("Of the linear solve; default: so that M + H has condition number 2.5.", least=0)
    tolerance: float | None = flag("To stop at; default: the first row's true residual.", least=0, most=0.99)
    repeats: int = flag("Stages per row; times are medians.", default=1, least=1)
    compiled: bool = flag("Also with batch norm's passes compiled (setting compile).", default=False)


@bench.command()
@takes(_HypergradientOptions)
def hypergradient(asked: _HypergradientOptions) -> None:
    """The linear solves of one upper level: time, products, true residual and memory, way by way."""
    from bissl_ray.benchmarks.hypergradient import measure_hypergradient
    from bissl_ray.benchmarks.problem import Question
    from bissl_ray.benchmarks.processes import on_workers
    from bissl_ray.benchmarks.tables import measurement_table
    from bissl_ray.preflight.checkpoints import fetched
    from bissl_ray.preflight.sources.address import named

    workers, damping, pretrained = asked.workers, asked.damping, named(asked.pretrained)
    question = Question(**{each.name: getattr(asked, each.name) for each in fields(Question)})
    # Refused here: later, the figures of many minutes would be lost.
    if damping is not None and not 0 < damping <= _MOST_DAMPING:
        raise BadInputError(
            f"--damping {damping:g}: expected more than 0, since M is the damping alone here and must be positive, and "
            f"at most {_MOST_DAMPING:g}; or leave it out for one that suits the curvature"
        )
    asked.check()
    with ExitStack() as files:
        if pretrained is not None:
            # Fetched once, here: the workers are on this machine too.
            question = replace(question, pretrained=str(files.enter_context(fetched(pretrained)).path))
        question.check(workers)
        measured = on_workers(
            measure_hypergradient, workers, question, damping, asked.tolerance, asked.repeats, asked.compiled
        )
    measured = replace(measured, question=replace(question, pretrained=pretrained))
    asked.write(measured, measurement_table(measured))
