"""From options, declared once in `config.options`, to a verb's flags."""

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Annotated, Any, get_args, get_type_hints

import typer

from bissl_ray.config.flags import KEY, Flag


def takes(options: type, leave_out: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A verb whose first argument is an object of options; its own flags follow.

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

        @functools.wraps(verb)
        def command(**given: Any) -> None:
            verb(options(**{each.name: given.pop(each.name) for each in flags if each.name in given}), **given)

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter(
                each.name, keyword, default=each.default, annotation=_annotated(hints[each.name], each.metadata[KEY])
            )
            for each in flags
        ]
        parameters += [parameter.replace(kind=keyword) for parameter in own]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def _annotated(kind: Any, flag: Flag) -> Any:
    # What may be a path or a space where Python hands it over, is text on the command line.
    if str in get_args(kind):
        kind = str | None
    given = typer.Option(*flag.names, help=flag.help, metavar=flag.metavar, min=flag.least, max=flag.most)
    return Annotated[kind, given]
