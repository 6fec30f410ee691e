"""From a request to the order that workers run."""

from dataclasses import asdict

from bissl_ray.errors import BadInputError
from bissl_ray.preflight.requests import CURVATURE, check_shares
from bissl_ray.stages.request import MODEL_FILES, StageRequest
from bissl_ray.stages.start import StartingPoint
from bissl_ray.training.order import Order, batches_of, stage_folder


def check_start(request: StageRequest) -> None:
    """Make sure that there is something to start from (raises BadInputError)."""
    if request.start is None and request.stage != "pretrain":
        backbone = request.settings["backbone"]
        raise BadInputError(
            f"{request.stage} starts from a checkpoint of {backbone}, and none was given: add --start FILE (.pth, .pt "
            f"or .safetensors); `bissl-ray pretrain --dataset {request.dataset}` makes one from its own images"
        )


def check_workers(request: StageRequest) -> None:
    """Make sure that the workers can share every batch equally (raises BadInputError)."""
    stages = stages_of(request, has_head=False)
    values = {name: (request.settings[name],) for name in (*batches_of(stages), *CURVATURE)}
    check_shares(values, stages, request.workers, "--workers")


def stages_of(request: StageRequest, has_head: bool) -> tuple[str, ...]:
    """What the workers run.

    Args:
        request: of the stage.
        has_head: whether it starts with a downstream head of this dataset.
    """
    match request.stage:
        case "pretrain":
            return ("pretrain",)
        case "train":
            return ("head", "bissl")
        case "finetune":
            # BiSSL leaves a head that is trained; beside any other backbone it begins afresh, as the control's does.
            return ("finetune",) if has_head else ("head", "finetune")
        case "evaluate":
            return ("score",) if "score" in request.ways else ("frozen",)


def order_of(request: StageRequest, storage: str, start: StartingPoint | None) -> Order:
    """The whole of it, as workers take it.

    Args:
        request: of the stage.
        storage: absolute.
        start: what it starts from, to be written to the order's `start` first; None: fresh weights.
    """
    folder = stage_folder(request.name)
    return Order(
        trial=request.name,
        **asdict(request.data),
        storage=storage,
        sweep=None,
        settings=request.settings,
        seed=request.seed,
        stages=stages_of(request, start is not None and start.has_head),
        start=f"{folder}/{MODEL_FILES['pretrain'] if start is None else 'start.pt'}",
        with_upper_budget=request.control_budget,
        split=request.split,
        frozen=tuple(way for way in request.ways if way != "score"),
    )
