"""A file to begin with: every key, commented out, with its default and what it says."""

from typing import Final

from bissl_ray.config.said_once.keys import KEYS, Key

_HEAD: Final = """\
# What bissl-ray is told once, instead of with every command: bissl-ray.toml, of a folder and all those below it.
# A flag holds first, then the environment (BISSL_RAY_DATA_DIR, ...), then this file, then the user's own
# ({users}). Within a file, what is said of a dataset holds before what is said of all.
# Paths are relative to this file. Passwords and tokens don't belong here. What holds: bissl-ray config
"""
_TABLE: Final = """
# Of one dataset, one table each; here a key that is empty ("") takes back what is said of all.
#
# [datasets.cars]
# data-dir = "/data/cars"
# pretrained = "simclr_resnet50.pth"
"""


def template(users: str) -> str:
    """The text of the file.

    Args:
        users: how the user's own file is called.
    """
    return "\n".join([_HEAD.format(users=users), *(_lines(key) for key in KEYS.values())]) + _TABLE


def _lines(key: Key) -> str:
    what = key.flag.help.partition(" [")[0]
    beside = "" if key.beside is None else f" Only beside {key.beside}."
    several = ' Or a list, for compare: ["100ep=a.pth", "b.pth"].' if key.name == "pretrained" else ""
    return f"# {what}{beside}{several} Default: {key.unless_said}.\n# {key.name} = {key.example}\n"
