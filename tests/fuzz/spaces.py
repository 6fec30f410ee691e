"""Search spaces: files of ours, changed; chains of files; bombs."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from random import Random

import yaml

from tests.fuzz.case import Case
from tests.fuzz.values import WORDS, YAML, changed_bytes, changed_text, changed_tree, scalar

_ROOT = Path(__file__).parents[2]
_FILE = "space.yaml"


@cache
def _texts() -> tuple[str, ...]:
    """Every shipped space, and those of the study."""
    files = [*sorted((_ROOT / "search_spaces").glob("*.yaml")), *sorted((_ROOT / "docs/study").glob("*.yaml"))]
    return tuple(path.read_text("utf-8") for path in files)


def draw(random: Random) -> Case:
    """A case of a search space."""
    files = _files(random)
    argv = random.choices(
        (
            ("spaces", _FILE),
            ("spaces", _FILE, "--format", "json"),
            ("sweep", "--space", _FILE, "--dry-run"),
            ("train", "--space", _FILE, "--dry-run"),
            ("compare", "--space", _FILE, "--dry-run"),
            ("spaces", f"./{_FILE.removesuffix('.yaml')}"),
        ),
        (12, 3, 3, 1, 1, 1),
    )[0]
    return Case(argv, files)


def _files(random: Random) -> Mapping[str, bytes]:
    text = random.choice(_texts())
    match random.randrange(12):
        case 0 | 1:
            return {_FILE: changed_bytes(random, text.encode())}
        case 2 | 3 | 4 | 5:
            return {_FILE: _encoded(changed_text(random, text))}
        case 6 | 7:
            tree = changed_tree(random, yaml.safe_load(text))
            return {_FILE: _encoded(yaml.safe_dump(tree, allow_unicode=True))}
        case 8:
            return {_FILE: _encoded(_bomb(random))}
        case 9:
            return _chain(random, text)
        case 10:
            encoding = random.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7", "cp500"))
            return {_FILE: text.encode(encoding, "replace")}
    return {_FILE: _encoded(_small(random))}


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape" if "\udcff" in text else "surrogatepass")


def _small(random: Random) -> str:
    """A few sections with a value of any kind."""
    lines = ["dataset: digits"]
    for section in random.sample(
        ("parameters", "finetune_parameters", "fixed", "known_good", "protocol", "extends"), 3
    ):
        name = random.choice(
            ("lower_lr", "cg_iterations", "backbone", "image_size", "alternations", "trials", *WORDS[:12])
        )
        kind = random.choice(("float", "int", "categorical", "x"))
        body = random.choice(
            (
                f"{{{name}: {scalar(random)}}}",
                f"{{{name}: {{type: {kind}, low: {scalar(random)}, high: 3}}}}",
                f"{{{name}: {{type: categorical, values: [{scalar(random)}, {scalar(random)}]}}}}",
                f"[{{{name}: {scalar(random)}}}]",
                scalar(random),
                random.choice(YAML),
            )
        )
        lines.append(f"{section}: {body}")
    return "\n".join(lines) + "\n"


def _bomb(random: Random) -> str:
    levels = random.choice((3, 7, 8, 9, 100, 3000))
    width = random.choice((2, 10, 30))
    match random.randrange(5):
        case 0:  # a billion laughs
            lines = ["dataset: digits", "a0: &a0 [x]"]
            lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, min(levels, 30))]
        case 1:
            lines = ["dataset: digits", "a0: &a0 {k: 1}"]
            lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * width)}]}}" for n in range(1, min(levels, 30))]
        case 2:
            lines = [f"{' ' * n}k:" for n in range(levels)]
        case 3:
            lines = [f"dataset: {'[' * levels}{']' * random.choice((0, levels))}"]
        case _:
            many = range(random.choice((100, 3000)))
            lines = ["dataset: digits", "fixed:", *(f"  k{n}: {n}" for n in many)]
    return "\n".join(lines) + "\n"


def _chain(random: Random, text: str) -> Mapping[str, bytes]:
    """Files that extend each other, themselves, folders and what there is not."""
    names = [f"s{number}.yaml" for number in range(random.choice((1, 2, 3, 40)))]
    last = random.choice(
        (
            _FILE,
            names[0],
            names[-1],
            "folder",
            "fifo",
            "gone",
            ".",
            "..",
            "/",
            "",
            "x" * 5000,
            "/".join(["y" * 200] * 30),
        )
    )
    last = random.choice((last, last, scalar(random)))
    files = {}
    for name, parent in zip([_FILE, *names], [*names, last], strict=True):
        body = random.choice((text, "dataset: digits\n"))
        files[name] = _encoded(f"extends: {random.choice((parent, os.path.join('.', parent)))}\n" + body)  # noqa: PTH118
    return files
