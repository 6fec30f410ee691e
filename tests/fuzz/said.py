"""What is said once: bissl-ray.toml and the environment."""

from functools import cache
from random import Random

from tests.fuzz.case import Case
from tests.fuzz.values import ADDRESSES, NAMES, changed_bytes, changed_text, scalar

_VERBS = (
    *(("config",), ("config", "--dataset", "digits"), ("leaderboard",), ("sweep", "--dry-run"), ("train", "--dry-run")),
    *(("evaluate", "--dry-run"), ("compare", "--dry-run"), ("export",), ("show", "t000"), ("datasets",)),
)


@cache
def _template() -> str:
    """Every key, said."""
    from bissl_ray.config.said_once.template import template

    lines = template("x").splitlines()
    return "\n".join(line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines)


def draw(random: Random) -> Case:
    """A case of what is said once."""
    from bissl_ray.config.said_once import KEYS

    files: dict[str, bytes] = {}
    variables: dict[str, str] = {}
    if random.random() < 0.7:
        text = random.choice((_template(), "", 'storage = "runs"\n', '[datasets.digits]\npretrained = "x.pth"\n'))
        if random.random() < 0.1:
            text = random.choice(
                ("a = " + "[" * 5000, ".".join("a" * 3000) + " = 1", f"[datasets{'.a' * 3000}]", "# x\n" * 99999)
            )
        elif random.random() < 0.4:
            key = random.choice((*KEYS, "token", "aws_secret", "Storage", "hf-token", "a.b"))
            value = random.choice(
                (
                    f'"{random.choice(ADDRESSES)}"',
                    f'"{scalar(random)}"',
                    scalar(random),
                    "[]",
                    "{}",
                )
            )
            text = f"{key} = {value}\n" + random.choice(("", text))
        changed = changed_text(random, text) if random.random() < 0.7 else None
        content = (
            text.encode("utf-8", "surrogateescape") if changed is None else changed.encode("utf-8", "surrogateescape")
        )
        files["bissl-ray.toml"] = changed_bytes(random, content) if random.random() < 0.2 else content
    for key in random.sample(sorted(KEYS), random.choice((0, 1, 1, 2))):
        value = random.choice((random.choice(ADDRESSES), random.choice(NAMES), scalar(random)))
        variables[KEYS[key].variable] = value.replace("\0", "")
    if random.random() < 0.05:
        name = random.choice(
            ("BISSL_RAY_CONFIG", "BISSL_RAY_PLUGINS", "BISSL_RAY_CACHE", "BISSL_RAY_NOSUCH", "RAY_ADDRESS", "COLUMNS")
        )
        variables[name] = random.choice((random.choice(NAMES), scalar(random))).replace("\0", "")
    return Case(random.choice(_VERBS), files, storage=random.random() < 0.5, environment=variables)
