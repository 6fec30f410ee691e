"""One trial on this worker: its models in and out, and the stage that it is at."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from bissl_ray.config.data_choice import USED
from bissl_ray.config.settings import Settings
from bissl_ray.data import DatasetSpec
from bissl_ray.downstream import Scores, judged_by
from bissl_ray.errors import BadInputError
from bissl_ray.metrics import Metric
from bissl_ray.models import Backbone
from bissl_ray.models.recomputed import recomputed_blocks
from bissl_ray.progress import Alive, Note, Sender, Silent, Step, TrialPausedError, TrialStoppedError
from bissl_ray.replay import EAGER
from bissl_ray.store.filesystem import reason
from bissl_ray.store.patience import patiently
from bissl_ray.training.account import Account
from bissl_ray.training.data import TrialData
from bissl_ray.training.files import SavedProgress, inherited_file, read_tensors, write_tensors
from bissl_ray.training.models import Models, check_upper
from bissl_ray.training.order import LOOKING, SCORING, Order, batches_of
from bissl_ray.training.precision import autocast
from bissl_ray.training.replay import replays_of
from bissl_ray.training.tensors import DamagedTensorsError
from bissl_ray.training.worker import Worker, in_step

T = TypeVar("T")

_STATISTICS: Final = {
    "pretrained": "running statistics of pretraining",
    "aligned": "running statistics re-estimated on views of the pretext pool",
    "finetuned": "running statistics of fine-tuning",
}
"""Which running statistics a model's file carries, by the model."""


class Trial:
    """What the stages of one trial share.

    Attributes:
        order: what to run.
        settings: the order's.
        worker: this process among the trial's workers.
        data: what it is trained and scored on.
        metric: the figure that it is judged by.
        models: both levels.
        account: what it has come to and cost.
        progress: its own checkpoint.
        replays: records its steps, where that is set.
    """

    def __init__(self, order: Order, worker: Worker, sender: Sender) -> None:
        """Build the models and open the data.

        Args:
            order: what to run.
            worker: this process among the trial's workers.
            sender: what the run speaks through; only the chief's is told of anything but reports.
        """
        self.order = order
        self.settings = order.settings
        self.worker = worker
        self._sender = sender
        self._tell = sender.send if worker.is_chief else Silent().send
        self.data = TrialData(order.data, order.settings, order.seed, worker, self._tell)
        self.metric = _metric(self.data.spec, self.settings)
        self.account = Account(worker, sender, self.metric.objective_name)
        self.progress = SavedProgress(order.storage, order.folder)
        # The same seed on all workers: they build the same models. Everything random afterwards (order of the
        # data, augmentations) is a function of (seed, step, image), so that workers differ where they should.
        torch.manual_seed(order.seed)
        self.models = Models.build(self.settings, worker.device, self.data.spec.task, self.data.splits.classes)
        scored_only = order.stages[0] in SCORING
        self.replays = EAGER if scored_only else replays_of(self.settings, self.models, worker, self.note)
        self._recomputes = self._has_skipped = False

    def spare(self, settings: Settings) -> None:
        """Hold as little as it can from now on; before any stage has begun.

        Args:
            settings: the trial's, with what takes least memory.
        """
        self.settings, self.replays, self._recomputes = settings, EAGER, bool(self.models.lower.blocks())

    # From where it was

    def begin(self) -> tuple[str, Any]:
        """Load what the trial starts from, or where it was interrupted.

        Returns:
            The stage to begin with, and that stage's saved state (None: from its beginning).

        Raises:
            BadInputError: the workers can't share a batch equally.
            FileNotFoundError: what it starts from is not there.
            DamagedTensorsError: what it starts from is not as it was written; alike on every worker.
        """
        self._check_shares()
        # A look at the test split has the name of the run that it looks at, and nothing to do with its progress, which
        # is there for a moment more.
        saved = None if self.order.stages[0] in LOOKING else self._own_progress()
        if saved is not None and saved["stage"] in self.order.stages:
            self.models.start_from(saved["models"], "the trial's own checkpoint")
            self.account.go_on(saved["totals"], saved["seconds"], saved.get("told", ()))
            return saved["stage"], saved["state"]
        if self.order.inherits:
            return self._take_over()
        if self.order.stages[0] == "pretrain":
            return "pretrain", None
        if self.order.fresh:
            return self.order.stages[0], None
        content = self.read(self.order.start)
        if content is None:
            raise FileNotFoundError(f"{self.order.storage}/{self.order.start}: the trial starts from it")
        if self.order.stages[0] == "finetune":
            try:
                check_upper(self.settings, content, self.order.start)
            except BadInputError as error:
                raise in_step(error) from None
        self.models.start_from(content, self.order.start)
        return self.order.stages[0], None

    def _own_progress(self) -> dict[str, Any] | None:
        """What this very run has saved; None: nothing, or nothing that it could go on from: it begins anew.

        A driver that was killed before it had written down what it was to run proposes another trial of that name when
        the sweep is resumed, and the one before may have saved something; so may one whose row is lost.
        """
        try:
            saved = self._patiently(self.progress.load, "a checkpoint to go on from")
        except DamagedTensorsError as error:
            self.note(f"{self.order.trial} begins anew: {error}")
            return None
        if saved is not None and saved.get("identity", self.order.identity) != self.order.identity:
            self.note(f"{self.order.trial} begins anew: the checkpoint in its folder is of a run with other settings")
            return None
        return saved

    def _take_over(self) -> tuple[str, Any]:
        """Begin where another trial was, with settings of its own; what that one has cost stays with it."""
        path = inherited_file(self.order.folder)
        content = self.read(path)
        if content is None:
            raise FileNotFoundError(f"{self.order.storage}/{path}: the trial goes on from it in another's place")
        self.models.start_from(content["models"], path)
        return content["stage"], content["state"]

    def _check_shares(self) -> None:
        n, settings = self.worker.world_size, self.settings
        for name in batches_of(self.order.stages):
            batch = getattr(settings, name)
            if batch % n:
                raise in_step(
                    BadInputError(
                        f"{name} is {batch}, which {n} workers can't share equally: make it a multiple of {n}"
                    )
                )
        parts, images = n * settings.curvature_chunks, self.data.curvature_images
        if "bissl" in self.order.stages and images % parts:
            raise in_step(
                BadInputError(
                    f"the curvature is taken on {images} images, which {n} workers can't cut into "
                    f"{settings.curvature_chunks} equal parts each: make curvature_batch a multiple of {parts}, "
                    "or change curvature_chunks"
                )
            )

    # Where it is

    def advance(self, where: Step, state: Callable[[], Any], loss: Tensor | None = None, pause: bool = False) -> None:
        """Say where a stage is, and save that unless it was saved a moment ago. The chief's business alone.

        Args:
            where: after a step that others of the same stage follow.
            state: called for the stage's state if it is saved.
            loss: of the step, for who follows.
            pause: save in any case, and pause there.

        Raises:
            TrialStoppedError: a wish to stop; where the run is has been saved.
            TrialPausedError: it pauses, on every worker.
            OSError: it is to pause, and the storage refuses what it would go on from, for longer than it is waited for.
        """
        if self.worker.is_chief:
            if self._sender.due():
                self._sender.send(where if loss is None else replace(where, loss=float(loss)))
            self.save_progress(where.stage, state, pause)
        if pause:
            raise TrialPausedError

    def note(self, line: str) -> None:
        """Say a line that a person should read."""
        self._tell(Note(line))

    def save_progress(self, stage: str, state: Callable[[], Any], surely: bool = False) -> None:
        """Save where the trial is, unless it was saved a moment ago; arguments and errors as `advance`.

        Args:
            stage: the stage to go on with.
            state: called for that stage's state if it is saved.
            surely: save in any case.
        """
        if not self.worker.is_chief:
            return
        stop = self._sender.stop_asked()
        if stop or surely or self.progress.due:
            where = {"stage": stage, "state": state(), "models": self.models.content()}
            account = self.account
            known = {"seconds": account.seconds, "totals": account.totals, "told": account.told}
            content = {**where, **known, "identity": self.order.identity}
            if surely:
                self._patiently(partial(self.progress.save, content), "where it pauses")
            else:
                # Only insurance, unless it is to stop: a storage that refuses must not cost the trial.
                with nullcontext() if stop else self._skipped():
                    self.progress.save(content)
        if stop:
            raise TrialStoppedError

    @contextmanager
    def _skipped(self) -> Iterator[None]:
        """Do without what a storage refuses, and say so once."""
        try:
            yield
        except OSError as error:
            if not self._has_skipped:
                self._has_skipped = True
                line = f"a checkpoint of {self.order.trial} can't be written ({reason(error)})"
                self.note(f"{line}: it goes on, from the one before if it is interrupted")

    def _patiently(self, do: Callable[[], T], what: str) -> T:
        return patiently(do, lambda why: self._tell(Alive(why)), what)

    def read(self, path: str) -> dict[str, Any] | None:
        """What `write_tensors` wrote to the trial's storage, waited for where that refuses; None: it is not there.

        Raises:
            DamagedTensorsError: it is not as it was written; alike on every worker.
            OSError: the storage refuses it for longer than it is waited for.
        """
        try:
            return self._patiently(partial(read_tensors, self.order.storage, path), path.rpartition("/")[2])
        except DamagedTensorsError as error:
            raise in_step(error) from None

    # What it comes to

    def save_models(
        self, name: str, parts: tuple[str, ...], path: str | None = None, statistics: str | None = None
    ) -> None:
        """Write models for good; the result names the file.

        Args:
            name: "pretrained", "aligned" or "finetuned".
            parts: what it holds beside the lower backbone, of "pretext", "downstream" and "upper".
            path: relative to the storage; None: `<trial's folder>/<name>.pt`.
            statistics: which running statistics the backbone carries, in words; None: those of a model of that name.
        """
        path = path or f"{self.order.folder}/{name}.pt"
        if self.worker.is_chief:
            content = self.models.checkpoint(parts, self._metadata(name, statistics))
            self._patiently(partial(write_tensors, self.order.storage, path, content), path.rpartition("/")[2])
        self.account.totals["checkpoint"] = path

    def _metadata(self, name: str, statistics: str | None) -> dict[str, Any]:
        order, splits, totals = self.order, self.data.splits, self.account.totals
        measured = {"objective_name": self.account.objective_name, "objective": totals.get("objective")}
        return {
            "model": name,
            "dataset": order.data.dataset,
            "sweep": order.sweep,
            "trial": order.trial,
            "seed": order.seed,
            "pretext_dataset": order.data.pretext_dataset,
            "split_seed": order.data.split_seed,
            "splits_dir": order.data.splits_dir,
            **{name: getattr(order.data, name) for name in USED},
            "fingerprint": splits.fingerprint,
            "labelled_fingerprint": splits.labelled_fingerprint,
            "split_fingerprint": splits.of_split,
            "class_names": None if splits.class_names is None else list(splits.class_names),
            "statistics": statistics or _STATISTICS[name],
            **(measured if "objective" in totals else {}),
            "settings": order.settings.model_dump(),
        }

    def autocast(self) -> torch.autocast:
        """A context for one forward in the trial's precision, or for several between which no parameter changes."""
        return autocast(self.settings.precision, self.worker.device)

    def pretext_loss(self, backbone: nn.Module, batch: Any) -> Tensor:
        """L_P of this worker's share of a batch, in the trial's precision."""
        with self.autocast():
            return self.models.pretext.loss(backbone, batch)

    def downstream_loss(self, backbone: nn.Module, batch: Any) -> Tensor:
        """L_D of this worker's share of a batch, in the trial's precision."""
        assert isinstance(backbone, Backbone)
        recomputed = recomputed_blocks(backbone) if self._recomputes else nullcontext()
        with self.autocast(), recomputed:
            return self.models.downstream.loss(backbone, batch)

    def score(self, which: str, split: str = "validation") -> float:
        """The dataset's metric of one of the models, negated where less is better; as `metrics` otherwise."""
        return self.metric.objective(self.metrics(which, split)[self.metric.name])

    def metrics(self, which: str, split: str = "validation") -> dict[str, float]:
        """Every metric of the dataset's task, of one of the models, over a whole split (collective).

        Args:
            which: "upper" (θ_D) or "lower" (θ), each with head φ_D.
            split: "validation", or "test" for a run that may look there.

        Returns:
            As `DownstreamTask.evaluate`, the same on every worker.

        Raises:
            FloatingPointError: a figure is not finite (the model's last step broke it); the same on every worker.
        """
        with self.autocast():
            scores = self.models.downstream.evaluate(getattr(self.models, which), self.evaluation(split))
        return self._checked(scores, split)

    def scores(self, which: str, split: str) -> Scores:
        """As `metrics`, with the figures of each class where the task has them."""
        with self.autocast():
            scores = self.models.downstream.scores(getattr(self.models, which), self.evaluation(split))
        self._checked(scores.figures, split)
        return scores

    def _checked(self, figures: dict[str, float], split: str) -> dict[str, float]:
        for name, value in figures.items():
            if not math.isfinite(value):
                raise in_step(FloatingPointError(f"the {split} {name} is {value}: the model has diverged"))
        return figures

    def evaluation(self, split: str) -> Iterator[Any]:
        """This worker's share of one pass over a split; where scores are all that is wanted, says how far it is.

        Raises:
            TrialStoppedError: a wish to stop while nothing but scores is wanted; there is nothing to save.
        """
        told = self.worker.is_chief and self.order.stages[0] in SCORING
        for number, batch in enumerate(self.data.evaluation(split)):
            if told and self._sender.due():
                self._sender.send(Step(f"{split} images", number, self.data.evaluation_steps(split), "batch"))
            if told and self._sender.stop_asked():
                raise TrialStoppedError
            yield batch


def _metric(spec: DatasetSpec, settings: Settings) -> Metric:
    """The metric of a trial (raises BadInputError, alike on every worker, where the task or the table lacks it)."""
    try:
        return judged_by(spec, settings.objective)
    except BadInputError as error:
        raise in_step(error) from None
