"""From options, declared once in `config.options`, to a verb's flags."""

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Annotated, Any, Final, get_args, get_type_hints

import typer

from bissl_ray.cli.completion import OF_FLAGS
from bissl_ray.cli.filling import Filler, filler_of
from bissl_ray.config.flags import KEY, Flag

_FIRST: Final = (
    *("datasets", "dataset", "sweep", "space", "point", "from_trial", "from_sweep", "assignments"),
    *("trials", "budget", "warm_from", "seeds", "seed", "control"),
    *("start", "start_head", "pretrained", "pretrained_head", "pretrain", "pretrain_epochs", "allow_partial"),
)
_LAST: Final = (
    *("workers", "workers_per_trial", "gpus_per_worker", "resources", "max_groups"),
    *("data_dir", "splits_dir", "pretext_dataset", "pretext_data_dir"),
    *("labels_per_class", "unlabelled_images", "label_draw"),
    *("name", "storage", "address"),
    *("dry_run", "calibrate", "only", "quick", "clean", "cost", "watch", "out", "save", "plot", "pictures"),
    *("format", "json", "force", "yes"),
)
"""One order of flags for all verbs: what a verb is about, what is its own, the data, where, and how it is written."""


def takes(options: type, leave_out: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A verb whose first argument is an object of options; its own flags follow.

    What no flag gave and what is the same for every dataset is filled in from what is said once. A verb that works on
    a dataset takes a `Filler` as its second argument, and asks it for the rest.

    Args:
        options: a dataclass; its fields that are flags become the verb's.
        leave_out: of these, those that the verb doesn't have.
    """
    hints = get_type_hints(options)
    known = {each.name: each for each in fields(options) if KEY in each.metadata and each.name not in leave_out}
    # An options' own before those that it shares with others.
    declared = dict.fromkeys(name for base in options.__mro__ for name in inspect.get_annotations(base))
    flags = [known[name] for name in declared if name in known]

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(verb).parameters.values())[1:]
        asks = bool(own) and own[0].annotation is Filler
        own = own[asks:]

        @functools.wraps(verb)
        def command(context: typer.Context, **given: Any) -> None:
            asked = options(**{each.name: given.pop(each.name) for each in flags})
            filler = filler_of(options, context, known)
            filled, _ = filler.for_all(asked)
            verb(filled, *((filler,) if asks else ()), **given)

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter("context", keyword, annotation=typer.Context)]
        parameters += [
            inspect.Parameter(
                each.name,
                keyword,
                default=each.default,
                annotation=_annotated(each.name, hints[each.name], each.metadata[KEY]),
            )
            for each in flags
        ]
        parameters += [parameter.replace(kind=keyword) for parameter in own]
        parameters.sort(key=_place)
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def _place(parameter: inspect.Parameter) -> int:
    """Where a flag stands; those of one place keep their order."""
    name = parameter.name
    if name in _FIRST:
        return _FIRST.index(name) - len(_FIRST)
    return _LAST.index(name) + 1 if name in _LAST else 0


def _annotated(name: str, kind: Any, flag: Flag) -> Any:
    # What may be a path or a space where Python hands it over, is text on the command line.
    if str in get_args(kind):
        kind = str | None
    completed = OF_FLAGS.get(name)
    given = typer.Option(
        *flag.names,
        help=flag.help,
        metavar=flag.metavar,
        min=flag.least,
        max=flag.most,
        autocompletion=completed,
    )
    return Annotated[kind, given]
