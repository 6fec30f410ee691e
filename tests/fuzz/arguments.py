"""Command lines of every verb: flags with values of another kind, too many, none, in any order."""

import re
from functools import cache
from random import Random
from typing import Any

import typer

from tests.fuzz.case import Case
from tests.fuzz.values import ADDRESSES, NAMES, NUMBERS, WORDS, scalar

_DRY = ("sweep", "compare", "pretrain", "train", "finetune", "evaluate")
"""Verbs that would start something."""
_NOT_DRAWN = ("--calibrate", "--help", "--yes")
"""The first runs real steps, the last removes."""
_REAL = (
    *(
        "digits",
        "cars",
        "runs",
        "./runs",
        "done",
        "cut",
        "cmp",
        "t000",
        "done/t000",
        "t000-s1",
        "digits,cars",
        "2h",
        "4gpuh",
    ),
    *(
        "runs/stages/fine/finetuned.pt",
        "runs/stages/pre/pretrained.pt",
        "lower_lr=0.5",
        "alternations=3",
        "table",
        "json",
    ),
    *(
        "safetensors",
        "pth",
        "timm",
        "torchvision",
        "objective",
        "-seconds",
        "status = 'complete'",
        "out.pth",
        "identity",
    ),
    *(
        "objective > 0.5 and status = 'complete'",
        "a=runs/stages/pre/pretrained.pt",
        "digits_scenes",
        "folder",
        "kubernetes",
    ),
)


@cache
def _commands() -> dict[tuple[str, ...], Any]:
    from bissl_ray.cli.main import app

    found: dict[tuple[str, ...], Any] = {}

    def add(command: Any, path: tuple[str, ...]) -> None:
        if hasattr(command, "commands"):
            for name, each in command.commands.items():
                add(each, (*path, name))
        else:
            found[path] = command

    add(typer.main.get_command(app), ())
    return found


def draw(random: Random) -> Case:
    """A case of a command line."""
    path = random.choice(sorted(_commands()))
    if path[0] == "bench" and random.random() < 0.8:
        return draw(random)  # nothing is said of them without measuring
    words = _words(random, _commands()[path])
    if path[0] in _DRY:
        words.insert(0, "--dry-run")
    if path[0] == "bench":
        words.insert(random.randrange(len(words) + 1), random.choice(("--nosuch", "--help")))
    argv = [*path, *words]
    if random.random() < 0.05:
        argv.insert(random.randrange(len(argv)), random.choice(WORDS))
        if path[0] in (*_DRY, "bench") and argv[: len(path)] != [*path]:
            argv = argv[: argv.index(path[-1]) + 1] if path[-1] in argv else argv[:1]
            argv.append("--nosuch")
    argv = [word.replace("\0", "") for word in argv]
    return Case(tuple(argv), storage=True, may_write=path[0] in ("export", "config", "datasets"))


def _words(random: Random, command: Any) -> list[str]:
    parameters = [each for each in command.params if not set(each.opts) & {*_NOT_DRAWN, "--dry-run"}]
    words: list[str] = []
    for parameter in random.choices(parameters, k=random.choice((0, 1, 1, 2, 3, 6))) if parameters else []:
        if parameter.param_type_name == "argument":
            words.append(_value(random))
            continue
        name = random.choice([*parameter.opts, *parameter.secondary_opts])
        if getattr(parameter, "is_flag", False):
            words.append(name if random.random() < 0.95 else f"{name}={_value(random)}")
        elif random.random() < 0.03:
            words.append(name)
        else:
            value = _fitting(random, parameter)
            words += [f"{name}={value}"] if random.random() < 0.2 else [name, value]
    random_word = random.random()
    if random_word < 0.3:
        words.append(random.choice(_REAL))
    elif random_word < 0.36:
        words.append(_value(random))
    return words


def _fitting(random: Random, parameter: Any) -> str:
    """A value of the flag's own kind, or of any."""
    if random.random() < 0.5:
        kind = repr(getattr(parameter, "type_descriptor", None) or parameter.type)  # as typer of today or of before
        if words := re.findall("'([^']+)'", kind):
            return random.choice(words)
        if re.search(r"\b(int|float|Int\w*|Float\w*)\b", kind):
            return random.choice(("1", "2", "0.5", "3", *NUMBERS))
        return random.choice(_REAL)
    return _value(random)


def _value(random: Random) -> str:
    return random.choice(
        (random.choice(_REAL), random.choice(ADDRESSES), random.choice(NAMES), scalar(random), scalar(random))
    )
