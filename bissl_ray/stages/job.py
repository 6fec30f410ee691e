"""A stage as a job: what is checked of it, what it begins with, and the order that its workers take."""

from dataclasses import dataclass
from typing import Final

from bissl_ray.config.documents import StageDocument
from bissl_ray.config.requests import StageName, StageRequest
from bissl_ray.data import get_dataset
from bissl_ray.downstream import check_frozen, check_task
from bissl_ray.errors import BadInputError
from bissl_ray.models import check_twice_differentiable
from bissl_ray.preflight.checkpoints import read_checkpoint
from bissl_ray.preflight.data import DataFacts
from bissl_ray.preflight.requests import CURVATURE, check_shares
from bissl_ray.preflight.session import Job
from bissl_ray.stages.again import Again, stored_trial
from bissl_ray.stages.start import StartingPoint, fit_start
from bissl_ray.store import check_writable
from bissl_ray.store.paths import stage_folder
from bissl_ray.training.order import Order, batches_of, of_method
from bissl_ray.training.replay import check_replay
from bissl_ray.workers.place import Need, Place

_MODEL_FILE: Final = "pretrained.pt"
"""What a stage that starts from fresh weights writes into its folder."""


@dataclass(frozen=True)
class Ready:
    """What a stage begins with once its data have been looked at.

    Attributes:
        document: stage.json.
        order: what its workers do.
        start: the checkpoint that it starts from; None: fresh weights, or where a trial started.
        words: of the data.
        again: the trial that is run again; None: none is.
        unlike: lines on what is not as it was when that ran.
    """

    document: StageDocument
    order: Order
    start: StartingPoint | None
    words: str
    again: Again | None = None
    unlike: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What there is to say of the data and the checkpoint, and of a trial that is run again."""
        return (f"data: {self.words}", *(() if self.start is None else self.start.notes), *self.unlike)


def job_of(request: StageRequest, begun: StageDocument, storage: str) -> Job[Ready]:
    """Check what can be without data or cluster, and say how the rest is checked (raises BadInputError)."""
    again = None if request.again is None else stored_trial(storage, request.again)
    check_workers(request, None if again is None else again.order.stages)
    if request.stage != "pretrain":
        check_task(get_dataset(request.dataset), request.settings)
    if {"knn", "linear_probe"} & set(request.ways):
        check_frozen(get_dataset(request.dataset))
    if request.stage == "train" and again is None:
        check_twice_differentiable(request.settings.backbone, request.settings.image_size)
    checkpoint = None if request.start is None else read_checkpoint(request.start)
    check_writable(storage)

    def prepare(facts: DataFacts) -> Ready:
        facts.require_split(request.dataset)
        document = facts.written_to(begun, "choose another --name")
        if again is not None:
            unlike = (again.words, *again.unlike(request, facts.fingerprint))
            return Ready(document, again.order_for(request), None, facts.in_words, again, unlike)
        start = None if checkpoint is None else fit_start(request, checkpoint, facts)
        return Ready(document, _order(request, storage, start), start, facts.in_words)

    def suits(place: Place) -> None:
        if request.stage != "evaluate":
            check_replay(request.settings.replay, request.workers, place.has_gpus)

    return Job(
        what=f"{request.stage} run {request.name}",
        folder=stage_folder(request.name),
        data=request.data,
        decoding=request.settings.decoding,
        need=Need(request.workers, "--workers", in_process=True),
        prepare=prepare,
        suits=suits,
    )


def check_start(request: StageRequest) -> None:
    """Make sure that there is something to start from (raises BadInputError)."""
    if request.start is None and request.again is None and request.stage != "pretrain":
        raise BadInputError(
            f"{request.stage} starts from a checkpoint of {request.settings.backbone}, and none was given: add --start "
            f"FILE (.pth, .pt or .safetensors); `bissl-ray pretrain --dataset {request.dataset}` makes one from its "
            "own images"
        )


def check_workers(request: StageRequest, of_trial: tuple[str, ...] | None = None) -> None:
    """Make sure that the workers can share every batch equally, of a trial's stages or the verb's.

    Raises:
        BadInputError: they can't.
    """
    stages = of_trial or _stages_of(request, has_head=False)
    values = {name: (getattr(request.settings, name),) for name in (*batches_of(stages), *CURVATURE)}
    check_shares(values, stages, request.workers, "--workers")


def _stages_of(request: StageRequest, has_head: bool) -> tuple[str, ...]:
    """What the workers run; `has_head`: whether it starts with a downstream head of this dataset."""
    stages: dict[StageName, tuple[str, ...]] = {
        "pretrain": ("pretrain",),
        "train": ("head", "bissl"),
        # BiSSL leaves a head that is trained; beside any other backbone it begins afresh, as the control's does.
        "finetune": ("finetune",) if has_head else ("head", "finetune"),
        "evaluate": ("score",) if "score" in request.ways else ("frozen",),
    }
    return of_method(stages[request.stage], request.settings)


def _order(request: StageRequest, storage: str, start: StartingPoint | None) -> Order:
    """The whole of it, as workers take it; `start` is to be written to the order's `start` first."""
    return Order(
        trial=request.name,
        data=request.data,
        storage=storage,
        sweep=None,
        settings=request.settings,
        seed=request.seed,
        stages=_stages_of(request, start is not None and start.has_head),
        start=f"{stage_folder(request.name)}/{_MODEL_FILE if start is None else 'start.pt'}",
        with_upper_budget=request.control_budget,
        split=request.split,
        pictures=request.pictures,
        frozen=tuple(way for way in request.ways if way != "score"),
    )
