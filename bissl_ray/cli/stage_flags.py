"""The flags that the verbs of the stages share: written here once, and put before each verb's own."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from bissl_ray.config.resolved import ResolvedSettings
    from bissl_ray.stages.request import StageRequest

_Text = str | None

SHARED: Final[dict[str, tuple[Any, Any]]] = {
    "dataset": (Annotated[_Text, typer.Option(help="Dataset. [that of the space, trial or checkpoint; digits]")], None),
    "data_dir": (Annotated[_Text, typer.Option(help="Folder that holds the dataset's files.")], None),
    "splits_dir": (
        Annotated[_Text, typer.Option(help="Folder of published splits: NAME_train_split.txt, NAME_val_split.txt.")],
        None,
    ),
    "space": (
        Annotated[
            _Text, typer.Option(help="Search space that gives the settings: a file, or a shipped one. [the dataset's]")
        ],
        None,
    ),
    "point": (
        Annotated[int | None, typer.Option(help="Which of the space's known-good points, counted from 1. [the first]")],
        None,
    ),
    "from_trial": (
        Annotated[
            _Text, typer.Option(metavar="SWEEP/TRIAL", help="Take the settings of this trial of a sweep instead.")
        ],
        None,
    ),
    "assignments": (
        Annotated[
            list[str] | None,
            typer.Option("--set", metavar="NAME=VALUE", help="Set a training setting; give it again for more."),
        ],
        None,
    ),
    "seed": (Annotated[int, typer.Option(help="Fixes heads, the order of the data and augmentations.")], 0),
    "workers": (
        Annotated[int, typer.Option(help="Workers that share the work, a GPU each where there are; 1: this process.")],
        1,
    ),
    "address": (
        Annotated[_Text, typer.Option(help="Ray cluster to join: auto or HOST:PORT. [RAY_ADDRESS, else none]")],
        None,
    ),
    "storage": (Annotated[str, typer.Option(help="Folder or URI for the results.")], "./runs"),
    "name": (
        Annotated[
            _Text, typer.Option(help="Name of the run; that of an interrupted one goes on. [dataset, verb and time]")
        ],
        None,
    ),
    "dry_run": (
        Annotated[bool, typer.Option("--dry-run", help="Show every setting and where it came from; start nothing.")],
        False,
    ),
}
"""Type and default of each, by its name in `StageFlags`."""

Start = Annotated[
    _Text, typer.Option("--start", "--pretrained", help="Checkpoint to start from: .pth, .pt, .safetensors.")
]
AllowPartial = Annotated[
    bool, typer.Option("--allow-partial", help="Take what fits the backbone; the rest keeps fresh weights.")
]


def with_stage_flags(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb that takes the shared flags, and hands them to a function as its first argument, a `StageFlags`."""
    own = list(inspect.signature(verb).parameters.values())[1:]

    @functools.wraps(verb)
    def command(**given: Any) -> None:
        from bissl_ray.stages.prepare import StageFlags

        shared = {name: given.pop(name) for name in SHARED}
        verb(StageFlags(**shared), **given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    both = [inspect.Parameter(n, keyword, default=value, annotation=kind) for n, (kind, value) in SHARED.items()]
    both += [parameter.replace(kind=keyword) for parameter in own]
    command.__signature__ = inspect.Signature(both)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in both}
    return command


def show_settings(request: "StageRequest", resolved: "ResolvedSettings") -> None:
    """Print what a stage would do; what was given is checked, what was not is not missed."""
    from bissl_ray.config.describe import settings_to_yaml
    from bissl_ray.stages.plan import check_workers

    check_workers(request)
    lines = _looked_at(request)
    typer.echo(settings_to_yaml(resolved, request.dataset, request.split_seed), nl=False)
    for line in ("default: the paper's, where it names one", *lines):
        typer.echo(f"# {line}")
    typer.echo(f"# nothing was started; leave --dry-run out to {request.stage}")


def _looked_at(request: "StageRequest") -> list[str]:
    """What there is to say of the data and the checkpoint, as far as they were given."""
    from bissl_ray.data import get_dataset
    from bissl_ray.preflight.checkpoints import read_checkpoint
    from bissl_ray.preflight.data import inspect_data
    from bissl_ray.stages.start import fit_start

    checkpoint = None if request.start is None else read_checkpoint(request.start, request.start_head)
    if request.data_dir is None and not get_dataset(request.dataset).embedded:
        return []
    facts = inspect_data(request.data, request.validated_settings.cache_side)
    facts.require_split(request.dataset)
    notes = () if checkpoint is None else fit_start(request, checkpoint, facts).notes
    return [f"data: {facts.in_words}", *notes]
