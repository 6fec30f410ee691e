"""What lies in a storage, damaged or written by others: documents, locks, results, checkpoints."""

import io
import json
import tarfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.case import Case
from tests.fuzz.values import WORDS, changed_bytes, changed_tree, scalar

_ARCHIVE = Path(__file__).parents[1] / "earlier/release-0.1-storage.tar.xz"
_READERS = (
    *(
        ("leaderboard",),
        ("leaderboard", "--cost"),
        ("leaderboard", "--format", "json"),
        ("leaderboard", "--sort", "objective"),
    ),
    *(
        ("leaderboard", "--format", "csv"),
        ("leaderboard", "--format", "md", "--sweep", "done"),
        ("leaderboard", "--cost", "--format", "json"),
    ),
    *(
        ("leaderboard", "--where", "objective > 0.1"),
        ("leaderboard", "--dataset", "digits", "--sort", "-param_lower_lr"),
    ),
    *(
        ("show", "t000", "--sweep", "done", "--command"),
        ("doctor", "--only", "files", "--storage", "runs"),
        ("doctor", "--storage", "runs", "--quick"),
        ("doctor", "--only", "files", "--storage", "runs", "--clean"),
    ),
    *(("list",), ("list", "-f", "json"), ("status", "done"), ("status", "cut", "-f", "json"), ("status", "fine")),
    *(("status", "cmp"), ("clean", "--dry-run"), ("clean", "cut", "--dry-run", "-f", "json")),
    *(("diff", "done", "cmp-digits-1ep"), ("diff", "done/t000", "done/t001", "-f", "json")),
    *(("show", "t000", "--sweep", "done"), ("show", "t000-s1"), ("show", "t000", "--sweep", "cut")),
    *(
        ("export", "--sweep", "done"),
        ("export", "t000-s1", "--config"),
        ("export", "--sweep", "done", "--format", "pth", "--no-head"),
    ),
    *(("export", "runs/stages/fine/finetuned.pt"), ("export", "runs/stages/fine/finetuned.pt", "--config")),
    *(("resume", "done"), ("resume", "cut"), ("resume", "done", "--trials", "9")),
    *(("compare", "--name", "cmp", "--dry-run"), ("compare", "--name", "cmp", "--format", "json")),
    *(("sweep", "--dry-run", "--warm-from", "done"), ("sweep", "--dry-run", "--name", "done"), ("sweep", "--dry-run")),
    *(("train", "--from-trial", "done/t000", "--start", "runs/stages/pre/pretrained.pt", "--dry-run"),),
    *(("train", "--from-trial", "done/t000", "--dry-run"), ("finetune", "--from-trial", "done/t000-s1", "--dry-run")),
    *(
        ("finetune", "--name", "fine", "--start", "runs/stages/pre/pretrained.pt", "--dry-run"),
        ("pretrain", "--name", "pre", "--dry-run"),
    ),
    *(("evaluate", "--start", "runs/stages/fine/finetuned.pt", "--dry-run"),),
    *(("evaluate", "--start", "runs/sweeps/done/checkpoints/t000-s1/finetuned.pt", "--dry-run", "--split", "test"),),
)


@cache
def _files() -> dict[str, bytes]:
    with tarfile.open(_ARCHIVE) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        return {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]


def draw(random: Random) -> Case:
    """A case of a storage."""
    argv = random.choice(_READERS)
    kinds = (".json", ".json", ".json", ".parquet", ".parquet", ".pt")
    kind = random.choice(kinds if "export" not in argv and "--start" not in argv else (".json", ".pt", ".pt"))
    name = random.choice(sorted(each for each in _files() if each.endswith(kind)))
    content = _files()[name]
    files: dict[str, bytes]
    match kind:
        case ".json":
            files = {name: _document(random, content)}
            if random.random() < 0.15:
                files = {**files, **_claims(random)}
        case ".parquet":
            files = _results(random, name, content)
        case _:
            files = {name: changed_bytes(random, content)}
    return Case(argv, files, storage=True, may_write=argv[0] in ("export", "resume", "compare"))


def _document(random: Random, content: bytes) -> bytes:
    match random.randrange(4):
        case 0:
            return changed_bytes(random, content)
        case 1:
            return scalar(random).encode("utf-8", "surrogateescape")
    tree = json.loads(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        tree = changed_tree(random, tree)
    if random.random() < 0.2 and isinstance(tree, dict):
        tree["version"] = random.choice((1, 2, 3, 4, "3", None, 3.0, [3], True))
    return json.dumps(tree, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogateescape")


def _claims(random: Random) -> dict[str, bytes]:
    """Files beside a document that say who works there."""
    claim = {"host": "elsewhere", "where": "x", "pid": 1, "started": 1, "beat": 1, "holding": True, "renewed_at": 1.0}
    text = json.dumps(changed_tree(random, {**claim, "version": 2})).encode("utf-8", "surrogateescape")
    folder = random.choice(("runs/sweeps/done", "runs/sweeps/cut", "runs/stages/fine"))
    name = random.choice(
        ("lock.json", f"lock-{'0' * 32}.json", "lock-.json", f"lock-{'f' * 32}.json.void", "lock-x.json.x")
    )
    return {f"{folder}/{name}": random.choice((text, changed_bytes(random, text)))}


def _results(random: Random, name: str, content: bytes) -> dict[str, bytes]:
    """A file of results that is damaged, or well-formed and strange; some with a checksum that fits."""
    changed = changed_bytes(random, content) if random.random() < 0.4 else _strange(random, content)
    kind = "trials" if "/trials-" in name else "reports"
    if random.random() < 0.3:
        folder = name.rpartition("/")[0]
        return {f"{folder}/{kind}-{0:020d}-1-{0:012x}-{sha256(changed).hexdigest()[:32]}.parquet": changed}
    if random.random() < 0.1:
        return {
            random.choice(
                (
                    f"{name}.parquet",
                    f"runs/results/dataset=x/sweep={random.choice(('a', '%2F', '', 'é'))}/{kind}-1.parquet",
                )
            ): changed
        }
    return {name: changed}


def _strange(random: Random, content: bytes) -> bytes:
    """A table with a column of another type, without one, with values that none should have, or rows doubled."""
    table = pq.ParquetFile(io.BytesIO(content)).read()
    for _ in range(random.choice((1, 1, 2, 5))):
        names = [name for name in table.column_names if table.column_names.count(name) == 1]
        if not names or not table.num_rows:
            break
        name = random.choice(names)
        place = table.column_names.index(name)
        match random.randrange(6):
            case 0:
                table = table.drop_columns([name])
            case 1:
                table = table.set_column(place, name, _column(random, table.num_rows))
            case 2:
                further = random.choice(("param_lower_lr", "param_x", "trial", "sweep", *WORDS[-12:-1]))
                further = further.encode("utf-8", "backslashreplace").decode()  # Arrow takes no other text
                table = table.append_column(further, _column(random, table.num_rows))
            case 3:
                table = table.slice(random.randrange(table.num_rows), random.randrange(3))
            case 4:
                table = pa.concat_tables([table, table])
            case _:
                table = table.set_column(place, name, _changed(random, table[name]))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _column(random: Random, rows: int) -> pa.Array:
    return random.choice(
        (
            lambda: pa.array([random.choice(("", "a", "nan", "t000", "\x1b[31m", "x" * 3000))] * rows),
            lambda: pa.array([random.choice((0, -1, 2**62))] * rows),
            lambda: pa.array([random.choice((float("nan"), float("inf"), -1e308, 0.5))] * rows),
            lambda: pa.array([True] * rows),
            lambda: pa.nulls(rows),
            lambda: pa.array([[1, 2]] * rows),
            lambda: pa.array([{"a": 1}] * rows),
            lambda: pa.array([b"\xff"] * rows),
            lambda: pa.array([2**62] * rows, pa.timestamp("us", "UTC")),
            lambda: pa.array([1] * rows, pa.date32()),
            lambda: pa.array(["a"] * rows).dictionary_encode(),
        )
    )()


def _changed(random: Random, column: pa.ChunkedArray) -> pa.Array:
    """A column with one value of its own type that nobody would write."""
    values = column.to_pylist()
    kind = column.type
    wild: list[object] = [None]
    if pa.types.is_string(kind):
        wild += ["", "x", "complete", "\x1b[31m", "a\nb", "[b]", "x" * 2000, "../..", "nan", "{", "t000"]
    elif pa.types.is_integer(kind):
        wild += [0, -1, 2**63 - 1, -(2**63)]
    elif pa.types.is_floating(kind):
        wild += [float("nan"), float("inf"), -float("inf"), 1e308, 0.0]
    chosen = random.choice(wild)
    where = range(len(values)) if random.random() < 0.3 else [random.randrange(len(values))]
    for place in where:
        values[place] = chosen
    return pa.array(values, kind)
