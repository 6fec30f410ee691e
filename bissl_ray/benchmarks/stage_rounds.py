"""The real steps of a trial's stages, round by round, on real image files."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bissl_ray.benchmarks.images import scratch_cache, write_photographs
from bissl_ray.benchmarks.settings import bench_settings
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.progress import Silent
from bissl_ray.training.files import SavedProgress
from bissl_ray.training.order import Order
from bissl_ray.training.stages.bissl import trainer_of
from bissl_ray.training.stages.finetune import fine_tuning
from bissl_ray.training.stages.pretrain import pretraining
from bissl_ray.training.stages.steps import StageSteps
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker

_CLASSES = ("left", "right")
_ENDLESS = 10**6
"""Steps that no benchmark takes: schedules are as at the beginning of a long stage."""

Batches = Iterator[Any]


def stage_settings(steps: int, batch: int, **others: Any) -> Settings:
    """Settings of all stages: rounds of so many steps, batches of so many images, rates that break nothing.

    Raises:
        BadInputError: a trial may have none such.
    """
    return bench_settings(
        pretrain_batch=batch,
        lower_batch=batch,
        upper_batch=batch,
        finetune_batch=batch,
        lower_steps=steps,
        upper_steps=steps,
        alternations=_ENDLESS,
        pretrain_epochs=_ENDLESS,
        pretrain_lr=0.1,
        lower_lr=0.01,
        upper_lr=1e-3,
        finetune_lr=1e-3,
        **others,
    )


@contextmanager
def photographs(count: int, side: int) -> Iterator[tuple[Path, DataChoice]]:
    """A folder of photographs in two classes, and a cache of its own, for the duration of a `with` block.

    Args:
        count: images in all; three fifths of them are labelled training images.
        side: the longer one, pixels.

    Yields:
        A folder for what else is written, and the data.
    """
    with scratch_cache() as folder:
        for name in _CLASSES:
            (folder / "images" / name).mkdir(parents=True)
            write_photographs(folder / "images" / name, -(-count // len(_CLASSES)), side)
        yield folder, DataChoice("folder", data_dir=str(folder / "images"))


def trial_for(settings: Settings, data: DataChoice, folder: Path, worker: Worker, seed: int = 0) -> Trial:
    """A trial that reports to nobody and saves nothing."""
    order = Order(
        trial="bench",
        data=data,
        storage=str(folder),
        sweep="bench",
        settings=settings,
        seed=seed,
        stages=("pretrain", "bissl", "finetune"),
        start="start.pt",
    )
    trial = Trial(order, worker, Silent())
    trial.progress = _Unsaved(order.storage, order.folder)
    return trial


def check_batches(trial: Trial) -> None:
    """Raise BadInputError where a batch is larger than the images that it is drawn from."""
    splits, settings = trial.data.splits, trial.settings
    for batch, pool, words in (
        (settings.lower_batch, len(splits.pretext), "for the pretext"),
        (settings.upper_batch, len(splits.train), "with labels"),
    ):
        if batch > pool:
            raise BadInputError(
                f"a batch of {batch} from {pool} images {words}: lower --batch, or give more with --photographs"
            )


class _Unsaved(SavedProgress):
    """A trial's own checkpoint costs under 5 % of its time; a short measurement would meet it or not."""

    @property
    def due(self) -> bool:
        return False


@dataclass(frozen=True)
class StageRounds:
    """A stage that is run round by round.

    Attributes:
        parts: of a round, in words.
        images: that each part takes.
        drawn: batches of a round: of the pretext's, and of labelled ones.
        draw: opens the trial's own streams of both.
        run: a round with batches of both, which calls what it is given between two parts.
    """

    parts: tuple[str, ...]
    images: tuple[int, ...]
    drawn: tuple[int, int]
    draw: tuple[Callable[[], AbstractContextManager[Batches]], Callable[[], AbstractContextManager[Batches]]]
    run: Callable[[Batches, Batches, Callable[[], None]], None]

    def held(self) -> tuple[Batches, Batches]:
        """A round's batches of both, on the device, over and over."""
        found: list[Batches] = []
        for draw, count in zip(self.draw, self.drawn, strict=True):
            with draw() as batches:
                found.append(cycle(list(islice(batches, count))))
        return found[0], found[1]


def stages_of(trial: Trial) -> Iterator[StageRounds]:
    """Pretraining, an alternation of BiSSL in its two parts, and fine-tuning, each built when it is asked for."""
    settings, models = trial.settings, trial.models
    steps, batch = settings.lower_steps, settings.lower_batch

    def streams(stage: str) -> Any:
        return (
            lambda: trial.data.pretext_batches(stage, batch, 0),
            lambda: trial.data.labelled(stage, batch, 0),
        )

    def in_steps(run: StageSteps, which: int) -> Callable[[Batches, Batches, Callable[[], None]], None]:
        return lambda *batches: run.run(batches[which], [run.step + steps], lambda _: None)

    for module in (models.lower, models.pretext, models.downstream):
        module.train()
    yield StageRounds(
        ("pretraining",), (steps * batch,), (steps, 0), streams("pretrain"), in_steps(pretraining(trial), 0)
    )
    trainer = trainer_of(trial)

    def alternation(pretext: Batches, labelled: Batches, next_part: Callable[[], None]) -> None:
        trainer.alternation(_Marked(pretext, steps, next_part), labelled)

    # The upper part takes the Hessian's batch as well.
    images = (steps * batch, settings.upper_steps * batch + trial.data.curvature_images)
    yield StageRounds(
        ("lower steps", "upper steps"), images, (steps + 1, settings.upper_steps), streams("bissl"), alternation
    )
    yield StageRounds(
        ("fine-tuning",), (steps * batch,), (0, steps), streams("finetune"), in_steps(fine_tuning(trial, _ENDLESS), 1)
    )


class _Marked(Iterator[Any]):
    """Batches of one alternation; tells when the lower steps are over: the one after theirs is asked for."""

    def __init__(self, batches: Batches, steps: int, over: Callable[[], None]) -> None:
        self._batches, self._left, self._over = batches, steps, over

    def __next__(self) -> Any:
        if not self._left:
            self._over()
        self._left -= 1
        return next(self._batches)
