"""Checkpoints: bytes changed, tensors that are no weights, archives and headers that lie."""

import io
import json
import struct
import zipfile
from functools import cache
from random import Random

import torch

from tests.fuzz.case import Case
from tests.fuzz.values import changed_bytes, changed_tree, thing

_FILES = ("x.pth", "x.safetensors", "x.pt", "x.ckpt", "x")
_METADATA = {"model": "finetuned", "dataset": "digits", "trial": "t000", "sweep": None, "seed": 0, "split_seed": 0}


@cache
def _state() -> dict[str, torch.Tensor]:
    from bissl_ray.models import build_backbone

    torch.manual_seed(0)
    return build_backbone("smallconv").state_dict()


def draw(random: Random) -> Case:
    """A case of a checkpoint."""
    name = random.choice(_FILES)
    content = random.choice((_torch, _torch, _repacked, _safetensors, _ours))(random)
    if random.random() < 0.25:
        content = changed_bytes(random, content)
    argv = random.choice(
        (
            ("sweep", "--dataset", "digits", "--pretrained", name, "--dry-run"),
            ("train", "--dataset", "digits", "--start", name, "--dry-run"),
            ("finetune", "--dataset", "digits", "--start", name, "--dry-run", "--allow-partial"),
            ("evaluate", "--start", name, "--dry-run"),
            ("evaluate", "--start", name, "--dry-run", "--knn", "--dataset", "digits"),
            ("train", "--start", name, "--dry-run"),
            ("export", name if name.endswith(".pt") else "x.pt", "--out", "out.pth"),
            ("export", name if name.endswith(".pt") else "x.pt", "--config"),
        )
    )
    if argv[0] == "export":
        name = "x.pt"
    return Case(argv, {name: content}, may_write=argv[0] == "export")


def _saved(content: object, *, old: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


def _torch(random: Random) -> bytes:
    state: dict[object, object] = dict(_state())
    for _ in range(random.choice((1, 1, 2, 24))):
        key = random.choice(list(_state()))
        state[key] = _odd(random, _state()[key]) if random.random() < 0.9 else thing(random)
    if random.random() < 0.2:
        state[random.choice((1, "x" * 10000, "a\nb", "", "\x1b[31m", "n_averaged", "projector.0.weight"))] = _odd(
            random, torch.ones(1)
        )
    wrapped = random.choice(
        (state, {"state_dict": state}, {"model": state, "epoch": 3}, {"a": {"model": state}}, [state])
    )
    return _saved(wrapped, old=random.random() < 0.2)


def _odd(random: Random, tensor: torch.Tensor) -> object:
    made = random.choice(
        (
            lambda: (
                tensor.reshape(-1)[:1].expand(max(1, tensor.numel())).reshape(tensor.shape)
                if tensor.numel()
                else tensor
            ),
            lambda: torch.ones(()).expand(tensor.shape),
            lambda: torch.ones(1).expand(10**12),
            lambda: tensor.to_sparse(),
            lambda: tensor.to("meta"),
            lambda: tensor.to(torch.complex64),
            lambda: tensor > 0,
            lambda: tensor.to(torch.int8),
            lambda: tensor.half(),
            lambda: tensor.to(torch.float8_e4m3fn),
            lambda: tensor.double() * 1e300,
            lambda: tensor * float("nan"),
            lambda: torch.empty(0),
            lambda: tensor.unsqueeze(0),
            lambda: torch.nn.Parameter(tensor.float()),
            lambda: torch.zeros(3, dtype=torch.bits8),
            lambda: (
                tensor.float().t() if tensor.dim() == 2 else tensor.float().transpose(0, -1) if tensor.dim() else tensor
            ),
        )
    )
    return made()


def _ours(random: Random) -> bytes:
    from bissl_ray.config import Settings
    from bissl_ray.models import checkpoint_content

    settings = Settings(backbone="smallconv", image_size=8).model_dump()
    metadata = {
        **_METADATA,
        "settings": settings,
        "class_names": None,
        "objective": 0.5,
        "objective_name": "validation_top1",
    }
    content: dict[str, object] = {**checkpoint_content(_state(), None, metadata)}
    match random.randrange(4):
        case 0:
            content["metadata"] = changed_tree(random, metadata)
        case 1:
            content["metadata"] = {**metadata, "settings": changed_tree(random, settings)}
        case 2:
            key = random.choice(list(content))
            content[key] = random.choice((thing(random), torch.ones(2), {1: torch.ones(1)}, {"a": 1}))
        case _:
            part = random.choice(("backbone", "pretext", "downstream", "upper"))
            state: dict[object, object] = (
                dict(_state()) if part != "downstream" else {"head.weight": torch.ones(10, 64)}
            )
            key = random.choice(list(state))
            state[key] = _odd(random, _state().get(str(key), torch.ones(10, 64)))
            content[part] = state
    return _saved(content)


def _repacked(random: Random) -> bytes:
    """An archive whose members are compressed, shorter, longer, gone, doubled or endless."""
    whole = zipfile.ZipFile(io.BytesIO(_saved(_state())))
    members = whole.infolist()
    chosen = random.choice(members).filename
    packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    stream = io.BytesIO()
    way = random.randrange(7)
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for member in members:
            content = whole.read(member)
            if member.filename == chosen:
                if way == 0:
                    continue
                content = {1: content[: len(content) // 2], 2: content * 3, 3: bytes(200_000_000), 4: b""}.get(
                    way, content
                )
                packed = zipfile.ZIP_DEFLATED if way == 3 else packing
                archive.writestr(member.filename, content, packed)
                continue
            name = f"../{member.filename}" if way == 5 else member.filename
            archive.writestr(name, content)
    made = bytearray(stream.getvalue())
    if way == 6:  # sizes in the directory that are none
        place = made.rfind(b"PK\x01\x02")
        made[place + 20 : place + 28] = random.choice((b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f\0\0\0\0"))
    return bytes(made)


def _safetensors(random: Random) -> bytes:
    """A file whose header is changed, and the numbers behind it."""
    from safetensors.torch import save

    plain = save({key: tensor.contiguous() for key, tensor in _state().items()})
    length = int.from_bytes(plain[:8], "little")
    header = json.loads(plain[8 : 8 + length])
    name = random.choice(list(header))
    match random.randrange(6):
        case 0:
            header[name]["data_offsets"] = random.choice(([0, 10**15], [-4, 0], [4, 0], [0], "x", [0, 4], None))
        case 1:
            header[name]["shape"] = random.choice(([2**62, 2**62], [-1], ["a"], 5, [0], [1] * 2000))
        case 2:
            header[name]["dtype"] = random.choice(
                ("F4", "F8_E4M3", "F8_E8M0", "BOOL", "U64", "C64", "I8", "", 5, "F64")
            )
        case 3:
            header = changed_tree(random, header)
        case 4:
            header[random.choice(("x" * 10000, "a\nb", "", "__metadata__"))] = header.pop(name)
        case _:
            text = json.dumps(header).encode()
            return (
                struct.pack("<Q", random.choice((0, 2**63, 2**32, 10**8, len(text) + 1, 2**64 - 1)))
                + text
                + plain[8 + length :]
            )
    text = json.dumps(header, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(text)) + text + plain[8 + length :]
