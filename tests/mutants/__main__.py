"""Mutation tests of the core, outside CI: `make mutants`, or `python -m tests.mutants --count 60 --seed 1`.

Changes one place of one module at a time in a copy of the package and runs the tests of its room without those of Ray.
A change that no test notices is a survivor: kill it with a test, or explain it in survivors.txt ("module: before ->
after").
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
EXPLAINED = Path(__file__).with_name("survivors.txt")
TESTS = {
    "search": ["tests/search", "tests/test_winner.py", "tests/sweep/test_scheduler.py", "tests/sweep/test_searcher.py"],
    "store": ["tests/store", "tests/earlier"],
    "leaderboard": ["tests/leaderboard", "tests/test_winner.py", "tests/export", "tests/compare"],
    "bilevel": ["tests/bilevel", "tests/training/test_curvature.py", "tests/pretext/test_curvature.py"],
    "winner.py": ["tests/test_winner.py", "tests/search", "tests/leaderboard"],
}
"""Which tests look at a room."""

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    """One changed place."""

    module: Path
    line: int
    before: str
    after: str
    source: str
    """The whole module, changed."""

    def __str__(self) -> str:
        return f"{self.module.relative_to(ROOT / 'bissl_ray')}: {self.before} -> {self.after}"


def mutants_of(module: Path) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its places."""
    text = module.read_text()
    places = sum(1 for _ in _places(ast.parse(text)))
    for number in range(places):
        tree = ast.parse(text)
        statement, node, change = next(place for i, place in enumerate(_places(tree)) if i == number)
        before = " ".join(ast.unparse(node).split())
        change()
        ast.fix_missing_locations(tree)
        after = " ".join(ast.unparse(node).split())
        yield Mutant(module, statement.lineno, before[:100], after[:100], ast.unparse(tree))


def _places(tree: ast.Module):
    """What can be changed: the statement it stands in, the node to show, and a function that changes it."""
    for statement in ast.walk(tree):
        if not isinstance(statement, ast.stmt) or isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        for node in _own_expressions(statement):
            if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
                yield statement, node, lambda n=node: n.ops.__setitem__(0, _SWAPS[type(n.ops[0])]())
            elif isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in _SWAPS:
                yield statement, node, lambda n=node: setattr(n, "op", _SWAPS[type(n.op)]())
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                yield statement, node, lambda n=node: setattr(n, "op", ast.UAdd())
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
                yield statement, node, lambda n=node: setattr(n, "operand", ast.UnaryOp(ast.Not(), n.operand))
            elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
                yield statement, node, lambda n=node: setattr(n, "value", not n.value)
            elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                yield statement, node, lambda n=node: setattr(n, "value", n.value + 1)
            elif isinstance(node, ast.Name) and node.id in _NAMES:
                yield statement, node, lambda n=node: setattr(n, "id", _NAMES[n.id])


def _own_expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """Expressions of a statement, not those of the statements inside it, and no annotation."""
    skipped = {id(getattr(statement, name, None)) for name in ("annotation", "returns")}
    waiting = [child for child in ast.iter_child_nodes(statement) if id(child) not in skipped]
    while waiting:
        node = waiting.pop(0)
        # Whether a dataclass is frozen changes nothing that code which obeys it does.
        if isinstance(node, ast.stmt | ast.arg) or (isinstance(node, ast.keyword) and node.arg == "frozen"):
            continue
        if isinstance(node, ast.expr):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


def survives(mutant: Mutant, timeout: float) -> bool:
    """Whether the tests of its room pass with a mutant, the slow ones too if they must; to hang is to be noticed."""
    room = mutant.module.relative_to(ROOT / "bissl_ray").parts[0]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in ("bissl_ray", "tests", "search_spaces", "launch", "docs"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("conftest.py", "pyproject.toml"):
            shutil.copy(ROOT / name, tree / name)
        (tree / mutant.module.relative_to(ROOT)).write_text(mutant.source)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS[room], "-m"]
        env = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        for marked in ("not ray and not slow", "slow and not ray"):
            asked = {"cwd": tree, "env": env, "capture_output": True, "timeout": timeout, "check": False}
            try:
                code = subprocess.run([*command, marked], **asked).returncode
            except subprocess.TimeoutExpired:
                return False
            if code not in (0, 5):  # 5: no test has this mark
                return False
        return True


def _modules(room: Path) -> list[Path]:
    return sorted(room.rglob("*.py")) if room.is_dir() else [room]


def main() -> int:
    """Draw mutants, try each, name the survivors; 1 where one is not explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", nargs="*", default=list(TESTS), choices=list(TESTS))
    parser.add_argument("--timeout", type=float, default=400.0, help="seconds for the tests of one mutant")
    asked = parser.parse_args()
    modules = [module for room in asked.rooms for module in _modules(ROOT / "bissl_ray" / room)]
    everything = [mutant for module in modules for mutant in mutants_of(module)]
    drawn = random.Random(asked.seed).sample(everything, min(asked.count, len(everything)))
    explained = {line.strip() for line in EXPLAINED.read_text().splitlines() if line.strip() and line[0] != "#"}
    killed, told, unexplained = 0, 0, 0
    for number, mutant in enumerate(drawn, start=1):
        if str(mutant) in explained:
            told, word = told + 1, "explained"
        elif survives(mutant, asked.timeout):
            unexplained, word = unexplained + 1, "SURVIVED"
        else:
            killed, word = killed + 1, "killed"
        sys.stdout.write(f"{number:3} {word:9} {mutant} (line {mutant.line})\n")
        sys.stdout.flush()
    sys.stdout.write(f"{killed} killed, {told} explained, {unexplained} survived, of {len(everything)} there are\n")
    return int(unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
