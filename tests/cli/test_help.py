"""Help of every verb: it ends with an example that can be typed, and flags stand in one order."""

import shlex
from itertools import combinations
from typing import Any

import pytest
import typer

from bissl_ray.cli.main import app


def commands() -> dict[str, Any]:
    found: dict[str, Any] = {}

    def add(command: Any, path: tuple[str, ...]) -> None:
        found[" ".join(path)] = command
        for name, each in getattr(command, "commands", {}).items():
            add(each, (*path, name))

    add(typer.main.get_command(app), ())
    del found[""]
    return found


COMMANDS = commands()


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_ends_with_an_example_that_is_taken(verb: str, monkeypatch, capsys) -> None:
    from tests.cli.command import run_here

    last = run_here(monkeypatch, capsys, *verb.split(), "--help").out.rstrip().splitlines()[-1].strip()
    assert last.startswith(f"Example: bissl-ray {verb}"), last
    words = shlex.split(last.removeprefix("Example: bissl-ray ").partition(" > ")[0])
    command, rest = COMMANDS[verb], words[len(verb.split()) :]
    if verb == "bench":
        command, rest = COMMANDS[" ".join(words[:2])], words[2:]
    command.make_context("", list(rest))  # refuses flags that there aren't, and values that don't fit


def test_flags_stand_in_one_order() -> None:
    """Whatever two flags two verbs have in common stand in the same order in both."""
    orders: dict[tuple[str, str], str] = {}
    wrong = []
    for verb, command in COMMANDS.items():
        if verb.startswith("bench"):
            continue
        flags = [max(each.opts, key=len) for each in command.params if each.param_type_name == "option"]
        for one, other in combinations(flags, 2):
            if (other, one) in orders:
                wrong.append((one, other, verb, orders[other, one]))
            orders[one, other] = verb
    assert wrong == []


def test_short_flags_mean_the_same_everywhere() -> None:
    meant: dict[str, set[str]] = {}
    for command in COMMANDS.values():
        for each in command.params:
            for short in (name for name in each.opts if name.startswith("-") and not name.startswith("--")):
                meant.setdefault(short, set()).add(each.name)
    assert meant == {"-n": {"name"}, "-o": {"out", "save"}, "-f": {"format"}, "-y": {"yes"}}
    for verb, command in COMMANDS.items():
        for each in command.params:
            wanted = {"name": "-n", "out": "-o", "format": "-f", "save": "-o"}.get(each.name)
            if wanted is not None and each.param_type_name == "option":
                assert wanted in each.opts, (verb, each.name)
