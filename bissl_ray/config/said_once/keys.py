"""The keys that may be said once: the flags whose field in `config.options` names one."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from bissl_ray.config import options
from bissl_ray.config.flags import KEY, Flag, keys_of
from bissl_ray.config.said_once import values
from bissl_ray.config.said_once.values import Reader
from bissl_ray.config.settings import Settings
from bissl_ray.errors import nearest

_OPTIONS: Final = (
    options.SweepOptions,
    options.StageOptions,
    options.CompareOptions,
    options.ResumeOptions,
    options.BoardOptions,
    options.ShowOptions,
    options.ExportOptions,
    options.DoctorOptions,
)


@dataclass(frozen=True)
class Key:
    """What may be said once.

    Attributes:
        name: as in a file: data-dir.
        flag: that says it for one command.
        default: what holds where nobody says anything.
        read: a value of a file; raises `values.Unfit`.
        example: a value of it, as it is written in a file.
        of_dataset: whether a single dataset may have its own.
        beside: the key in whose table it must stand, which it says more about; None: it stands by itself.
    """

    name: str
    flag: Flag
    default: Any
    read: Callable[[Any, Path], Any]
    example: str
    of_dataset: bool = True
    beside: str | None = None

    @property
    def variable(self) -> str:
        """Of the environment."""
        return f"BISSL_RAY_{self.name.replace('-', '_').upper()}"

    @property
    def unless_said(self) -> str:
        """The default, in words."""
        if self.default is not None:
            return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)
        bracket = re.search(r"\[(.*)\]$", self.flag.help)
        return bracket[1] if bracket else "none"


_HOW: Final[dict[str, tuple[Reader, str]]] = {
    "dataset": (values.text, '"cars"'),
    "data-dir": (values.folder, '"/data"'),
    "pretrained": (values.checkpoints, '"simclr_resnet50.pth"'),
    "pretrained-head": (values.checkpoint, '"simclr_head.pth"'),
    "allow-partial": (values.truth, "true"),
    "pretrain": (values.truth, "true"),
    "splits-dir": (values.folder, '"splits"'),
    "pretext-dataset": (values.text, '"imagenet"'),
    "pretext-data-dir": (values.folder, '"/data/imagenet"'),
    "labels-per-class": (values.count, "10"),
    "unlabelled-images": (values.count, "8000"),
    "space": (values.space, '"my_space.yaml"'),
    "trials": (values.count, "40"),
    "budget": (values.budget, '"2h"'),
    "workers-per-trial": (values.count, "4"),
    "workers": (values.count, "4"),
    "storage": (values.folder, '"runs"'),
    "address": (values.text, '"auto"'),
    "top": (values.count, "20"),
}
_FOR_ALL: Final = ("dataset", "storage", "address", "top")
_BESIDE: Final = {
    "pretrained-head": "pretrained",
    "allow-partial": "pretrained",
    "pretext-data-dir": "pretext-dataset",
}


def _declared() -> dict[str, tuple[Flag, Any]]:
    found: dict[str, tuple[Flag, Any]] = {}
    for each in _OPTIONS:
        keys = keys_of(each)
        for field in fields(each):
            if field.name in keys:
                found.setdefault(keys[field.name], (field.metadata[KEY], field.default))
    return found


KEYS: Final = {
    name: Key(name, *declared, *_HOW[name], name not in _FOR_ALL, _BESIDE.get(name))
    for name, declared in sorted(_declared().items(), key=lambda each: list(_HOW).index(each[0]))
}
"""Every one by its name, in the order in which they are shown."""

_OF_ONE_COMMAND: Final = {
    name.removeprefix("--")
    for each in _OPTIONS
    for field in fields(each)
    if KEY in field.metadata
    for name in (field.metadata[KEY].names or (field.name.replace("_", "-"),))
} - KEYS.keys()


def is_of_one_command(name: str) -> bool:
    """Whether a name, with dashes, is that of a flag which is no key."""
    return name in _OF_ONE_COMMAND or name.replace("-", "_") in Settings.model_fields


def why_no_key(name: str, wanted: str = "") -> str:
    """What is wrong with a key that is none: what was found, what was expected.

    Args:
        name: with dashes.
        wanted: how it was written; "": as `name`.
    """
    written = repr(wanted or name)
    if name in ("start", "start-head"):
        return f"found {written}, expected {'pretrained' if name == 'start' else 'pretrained-head'}"
    if name in _OF_ONE_COMMAND:
        return f"found {written}, which one command is told, as --{name.split('/')[0]}; leave it out here"
    if name.replace("-", "_") in Settings.model_fields:
        return f"found {written}, a setting of training; it belongs in a search space, under fixed or parameters"
    hint = nearest(name, KEYS)
    expected = f"one that there is{hint}" if hint else f"one of {', '.join(KEYS)}"
    return f"found unknown key {written}, expected {expected}"
