"""What people give for a checkpoint and is none: what it is, and what to do."""

import json
import re
import shlex
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bissl_ray.errors import BadInputError
from bissl_ray.signatures import Kind

_SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar", ".pkl")
_UNPACK: Final = "unpack it, and give the checkpoint that is inside"
_FETCH: Final = "fetch the file itself: a download link, not the page that shows it"
_REMEDIES: Final = {
    "lfs": "fetch the file itself: git lfs pull",
    "html": _FETCH,
    **dict.fromkeys(("gzip", "bzip2", "xz", "zstd", "7z", "rar", "tar"), _UNPACK),
    "zeros": "fetch it again",
    "hdf5": "convert its weights to torch's names and shapes, and write them with torch.save",
    "npy": "expected tensors by name: write them with torch.save({name: torch.from_numpy(array), ...}, FILE)",
    "gguf": "give the model's own weights, as .safetensors",
}
_MOST_UNPACKED: Final = 20
_ALWAYS_UNPACKED: Final = 64 * 2**20  # bytes
_MAY_BE_TENSORS: Final = ("zip", "pickle", "safetensors")
_TENSORFLOW: Final = re.compile(r"\.(?:index|meta|data-\d{5}-of-\d{5}|pb)$|^checkpoint$")
_TRUSTED: Final = "if you trust who made it, write its tensors into a file, and give that"
_OF_SCRIPT: Final = 'torch.jit.load({0}, map_location="cpu").state_dict()'
_ONNX: Final = re.compile(rb"\x08.\x12.[A-Za-z]", re.S)


def refuse_other(source: Path, kind: Kind | None, start: bytes) -> None:
    """Refuse a file that can't be a checkpoint.

    Args:
        source: the file.
        kind: what it is by its first bytes; None where these tell nothing.
        start: these.

    Raises:
        BadInputError: says what it is, and what to do.
    """
    what, remedy = None, ""
    if kind is not None and kind.key == "json":
        what, remedy = _of_json(source)
    elif kind is not None and kind.key not in _MAY_BE_TENSORS:
        what, remedy = kind.words, _REMEDIES.get(kind.key, "give a checkpoint")
    elif kind is None and (source.suffix == ".onnx" or _ONNX.match(start)):
        what, remedy = "an ONNX model", "give the weights that it was exported from: ONNX has no names to find them by"
    elif kind is None and (_TENSORFLOW.search(source.name) or start.startswith(b"model_checkpoint_path")):
        what = "a part of a TensorFlow checkpoint"
        remedy = "convert its weights to torch's names and shapes, and write them with torch.save"
    elif kind is None and source.suffix == ".msgpack":
        what, remedy = "a checkpoint of Flax", "convert it to torch, as Hugging Face's from_flax=True does"
    if what is not None:
        raise BadInputError(f"{source} is {what}; {remedy}")


def refuse_other_zip(source: Path) -> str | None:
    """Refuse a zip archive that torch.save did not write.

    Returns:
        What is damaged in it, by its checksums, which torch does not look at; None where nothing is.

    Raises:
        BadInputError: as `refuse_other`; or it is cut short.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            locked = any(member.flag_bits & 1 for member in members)
            refuse_bomb(source, source.stat().st_size, members)
            wrong = None if locked else archive.testzip()
    except BadInputError:
        raise
    except Exception:  # zipfile's own, or zlib's, struct's or Python's, as the bytes fall
        raise BadInputError(
            f"{source} is cut short: its end, which says what is in it, is missing; fetch or write it again"
        ) from None
    if locked:
        raise BadInputError(f"{source} is a zip archive with a password; {_UNPACK}")
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        raise BadInputError(f"{source} is a TorchScript archive; {_TRUSTED}: {_by_python(source, _OF_SCRIPT)}")
    if "data.pkl" in inner:
        return None if wrong is None else f"{wrong} in it does not fit its checksum: the file may be damaged"
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        raise BadInputError(f"{source} is a file of torch.save that was unpacked and packed again; give it as it was")
    if "archive_format" in inner or any(name.endswith("archive_format") for name in names):
        raise BadInputError(
            f"{source} is a program of torch.export; {_TRUSTED}: "
            f"{_by_python(source, 'torch.export.load({0}).state_dict')}"
        )
    if any(name.endswith(".weights.h5") for name in names):
        raise BadInputError(f"{source} is a model of Keras; {_REMEDIES['hdf5']}")
    if names and all(name.endswith(".npy") for name in names):
        raise BadInputError(
            f"{source} is a NumPy archive of {len(names)} arrays ({names[0]}, ...); expected tensors by torch's names: "
            "write them with torch.save({name: torch.from_numpy(array), ...}, FILE)"
        )
    held = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") if names else "nothing"
    raise BadInputError(f"{source} is a zip archive of {held} and no file of torch.save; {_UNPACK}")


def refuse_bomb(source: str | Path, size: int, members: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse an archive that unpacks to far more than it is, by what its directory says; nothing is unpacked.

    Numbers hardly get smaller when they are packed, zeros (a fresh optimizer's) a thousand times: a part of those is
    let pass. torch unpacks no more of a member than the directory says.

    Args:
        source: the file, for the error line.
        size: of the file, in bytes.
        members: as its directory lists them.

    Raises:
        BadInputError: it does.
    """
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if packed > size:
        raise BadInputError(
            f"{source} is a zip archive of {size:,} bytes whose parts have {packed:,}: they lie in one another, or its "
            "end is another file's; fetch it again"
        )
    if unpacked > _MOST_UNPACKED * size + _ALWAYS_UNPACKED:
        raise BadInputError(
            f"{source} is a zip archive of {size:,} bytes that unpacks to {unpacked:,}: weights don't pack so small, "
            "and it may have been made to fill the memory; take the file from who made it, as torch.save wrote it"
        )


def _by_python(source: Path, tensors: str) -> str:
    """A command that writes what an expression of the file, {0}, gives."""
    path, target = json.dumps(str(source)), json.dumps(str(_beside(source)))
    code = f"import torch; torch.save(dict({tensors.format(path)}), {target})"
    return shlex.join([sys.executable, "-c", code])


def _beside(source: Path) -> Path:
    """Where the tensors of a file go."""
    return source.with_name(f"{source.stem}-tensors.pth")


def _of_json(source: Path) -> tuple[str, str]:
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        shards = sorted(set(content["weight_map"].values()))
        first = shards[0]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return "a JSON text", "give the file of the tensors that it belongs to"
    several = f" and {len(shards) - 1} more" if len(shards) > 1 else ""
    return (
        f"an index of the files that hold the tensors, {first}{several}",
        "give that file" if len(shards) == 1 else "join them: save_pretrained(FOLDER, max_shard_size='50GB')",
    )


def refuse_folder(source: Path) -> None:
    """Refuse a folder, naming what of it might be meant (raises BadInputError)."""
    inside = sorted(path.name for path in source.iterdir())
    if ".metadata" in inside and any(name.endswith(".distcp") for name in inside):
        join = [sys.executable, "-m", "torch.distributed.checkpoint.format_utils", "dcp_to_torch"]
        raise BadInputError(
            f"{source} is a folder of a distributed checkpoint; join it in one file, and give that: "
            f"{shlex.join([*join, str(source), str(_beside(source))])}"
        )
    if "data.pkl" in inside:
        raise BadInputError(f"{source} is a file of torch.save that was unpacked; give the file")
    if "zero_to_fp32.py" in inside:
        raise BadInputError(
            f"{source} is a folder of DeepSpeed; join it in one file, and give that: "
            f"{shlex.join([sys.executable, str(source / 'zero_to_fp32.py'), str(source), str(_beside(source))])}"
        )
    files = [name for name in inside if name.endswith(_SUFFIXES)]
    meant = f"give {source / files[0]}" if len(files) == 1 else f"give one of {', '.join(files[:4])}" if files else ""
    raise BadInputError(
        f"{source} is a folder; expected a file{': ' if meant else ', .pth, .pt or .safetensors'}{meant}"
    )
