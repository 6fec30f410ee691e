"""Files that were made to do harm, or came to be strange: nothing of them runs, and each ends in a line or is read."""

import collections
import io
import json
import pickle
import resource
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone, checkpoint_content, load_backbone, load_checkpoint
from tests.models.given import assert_same


def loaded(path: Path) -> dict[str, torch.Tensor]:
    backbone = build_backbone("resnet18")
    assert load_backbone(backbone, load_checkpoint(path).backbone, path.name).complete
    return backbone.state_dict()


def refusal(path: Path) -> str:
    with pytest.raises(BadInputError) as error:
        loaded(path)
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)
    return str(error.value)


# By hand, as a pickler would not write it


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def named(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


def of_old(body: bytes) -> bytes:
    """A file as torch wrote it before it wrote zip archives."""
    stream = io.BytesIO()
    for part in (torch.serialization.MAGIC_NUMBER, torch.serialization.PROTOCOL_VERSION, {}):
        pickle.dump(part, stream, protocol=2)
    stream.write(b"\x80\x02" + body + b".")
    pickle.dump([], stream, protocol=2)
    return stream.getvalue()


def zipped(body: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + body + b".")
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return stream.getvalue()


FOREIGN = named("os", "system") + b"0"


def test_no_patch_is_written_beside_the_source_of_a_class(tmp_path: Path) -> None:
    kept = named("collections", "OrderedDict") + b"q\0"
    changed = b"(N}(" + text("dump_patches") + b"\x88" + text("__name__") + text(str(tmp_path / "owned")) + b"utb0"
    source = b"(" + text("module") + b"h\0" + text("x\nwritten by a file\n") + text("original") + b"tQ"
    (tmp_path / "patch.pth").write_bytes(of_old(FOREIGN + kept + changed + source))
    refusal(tmp_path / "patch.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["patch.pth"]
    assert collections.OrderedDict.__name__ == "OrderedDict"


@pytest.mark.parametrize("place", [("torch._utils", "_rebuild_tensor_v2"), ("torch", "Size"), ("torch", "device")])
def test_what_makes_tensors_can_not_be_changed(tmp_path: Path, place: tuple[str, str]) -> None:
    before = torch._utils._rebuild_tensor_v2.__defaults__
    (tmp_path / "x.pth").write_bytes(zipped(FOREIGN + named(*place) + b"(N}(" + text("__defaults__") + b"(K\x01tutb"))
    refusal(tmp_path / "x.pth")
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before and torch.device("cpu").type == "cpu"


class Trainer:
    """Parts that know one another."""


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
def test_parts_that_lie_in_one_another_come_to_an_end(tmp_path: Path, resnet, whole: bool) -> None:
    trainer, logger = Trainer(), Trainer()
    trainer.model, trainer.logger, logger.trainer = dict(resnet), logger, trainer
    trainer.callbacks = {"a": trainer, "b": {"c": trainer, "d": logger}}
    torch.save(trainer if whole else {"trainer": trainer}, tmp_path / "trainer.pth")
    assert_same(loaded(tmp_path / "trainer.pth"), resnet)


@pytest.mark.slow
def test_a_dict_that_holds_itself(tmp_path: Path, resnet) -> None:
    content = {"model": resnet}
    content["self"] = content
    torch.save(content, tmp_path / "self.pth")
    assert_same(loaded(tmp_path / "self.pth"), resnet)


def test_what_unfolds_without_end_is_refused(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    for _ in range(40):
        content = {"a": content, "b": content}
    torch.save(content, tmp_path / "bomb.pth")
    assert "holds more than 1,000,000 parts" in refusal(tmp_path / "bomb.pth")


def deep(levels: int) -> bytes:
    return b"}" + (text("a") + b"}") * levels + b"s" * levels


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (zipped(deep(5000)), "expected tensors by name"),
        (zipped(FOREIGN + deep(5000)), "expected tensors by name"),
        (b"[" * 200_000, "is a JSON text"),
        (b'{"weight_map": {}}', "is a JSON text"),
    ],
    ids=["pickle", "foreign pickle", "lists", "index"],  # else an archive's bytes, and with them the time, are the name
)
def test_what_is_nested_too_deeply_is_a_line(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "deep.pth").write_bytes(content)
    assert told in refusal(tmp_path / "deep.pth")


def smallconv() -> dict[str, torch.Tensor]:
    return build_backbone("smallconv").state_dict()


WEIGHT = "stem.0.weight"
ODD = {
    "sparse": (lambda t: t.to_sparse(), "a tensor that is sparse (sparse_coo)", "to_dense"),
    "rows": (lambda t: t.flatten(1).to_sparse_csr(), "a tensor that is sparse (sparse_csr)", "to_dense"),
    "meta": (lambda t: t.to("meta"), "a tensor without numbers (of the device meta)", "after its weights were loaded"),
    "quantised": (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "a quantised tensor", "dequantize"),
    "complex": (lambda t: t.to(torch.complex64), "a tensor of complex numbers (complex64)", "tensor.real"),
    "endless": (lambda t: torch.ones(1).expand(10**14), "larger than what is stored of it", "tensor.clone()"),
    "expanded": (lambda t: t.flatten()[:1].expand(32, 3, 3, 3), "repeats its numbers (expanded, ", "tensor.clone()"),
}


@pytest.mark.parametrize(("change", "what", "remedy"), ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_a_tensor_that_can_be_no_weight_is_named(tmp_path: Path, change, what: str, remedy: str, ours: bool) -> None:
    state = smallconv()
    state[WEIGHT] = change(state[WEIGHT])
    content = {**checkpoint_content(smallconv(), None, {}), "backbone": state} if ours else {"state_dict": state}
    torch.save(content, tmp_path / "x.pth")
    said = refusal(tmp_path / "x.pth")
    assert f"holds {WEIGHT}, " in said and what in said and remedy in said


@pytest.mark.filterwarnings("ignore")
def test_what_lies_beside_the_weights_may_be_odd(tmp_path: Path) -> None:
    moments = {"a": torch.eye(3).to_sparse(), "b": torch.ones(1).expand(10**14), "c": torch.empty(2, device="meta")}
    torch.save({"state_dict": smallconv(), "optimizer": {"exp_avg": moments}, "masks": moments}, tmp_path / "x.pth")
    assert load_checkpoint(tmp_path / "x.pth").backbone.keys() == smallconv().keys()


@pytest.mark.parametrize("kind", [torch.bool, torch.int8, torch.uint16])
def test_truths_and_whole_numbers_in_place_of_weights(tmp_path: Path, kind: torch.dtype) -> None:
    state = smallconv()
    state[WEIGHT] = (state[WEIGHT] > 0).to(kind)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(BadInputError, match=rf"in 1 of the 20 tensors of smallconv \({WEIGHT} of {str(kind)[6:]}\)"):
        load_backbone(build_backbone("smallconv"), load_checkpoint(tmp_path / "x.pth").backbone, "x.pth")


def test_a_type_that_nothing_computes_with(tmp_path: Path) -> None:
    header = {"conv1.weight": {"dtype": "F4", "shape": [16], "data_offsets": [0, 8]}}
    (tmp_path / "x.safetensors").write_bytes(safetensors(header, bytes(8)))
    assert "holds conv1.weight, a tensor of float4" in refusal(tmp_path / "x.safetensors")


def safetensors(header: object, content: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


FOUR = {"dtype": "F32", "shape": [4]}
LIES = {
    "beyond the end": safetensors({"a": {**FOUR, "data_offsets": [0, 10**12]}}, bytes(16)),
    "in one another": safetensors({name: {**FOUR, "data_offsets": [0, 16]} for name in "ab"}, bytes(16)),
    "before the beginning": safetensors({"a": {**FOUR, "data_offsets": [-16, 0]}}, bytes(16)),
    "endless shape": safetensors({"a": {**FOUR, "shape": [2**62, 2**62], "data_offsets": [0, 16]}}, bytes(16)),
    "no type": safetensors({"a": {**FOUR, "dtype": "Q8", "data_offsets": [0, 16]}}, bytes(16)),
    "a list": safetensors([1, 2]),
    "deep": safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "endless header": struct.pack("<Q", 2**63) + b"{}",
    "long header": struct.pack("<Q", 2**31) + b"{}",
    "no header": struct.pack("<Q", 0) + b"{}",
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES.keys())
def test_a_header_that_lies(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    assert "is not a readable safetensors file (" in refusal(tmp_path / "x.safetensors")


# Archives that unpack to more than they are


def repacked(path: Path, name: str, size: int) -> None:
    """The file of torch.save, with one more part of so many zeros, packed."""
    with (
        zipfile.ZipFile(path) as whole,
        zipfile.ZipFile(path.with_name(name), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for member in whole.infolist():
            archive.writestr(member.filename, whole.read(member))
        with archive.open(f"{path.stem}/data/more", "w") as part:
            for _ in range(size // 2**20):
                part.write(bytes(2**20))


def test_an_archive_that_unpacks_to_the_hundredfold_is_not_unpacked(tmp_path: Path, monkeypatch) -> None:
    torch.save(smallconv(), tmp_path / "x.pth")
    repacked(tmp_path / "x.pth", "bomb.pth", 80 * 2**20)
    repacked(tmp_path / "x.pth", "zeros.pth", 8 * 2**20)  # of a fresh optimizer, say
    assert load_checkpoint(tmp_path / "zeros.pth").backbone.keys() == smallconv().keys()
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    monkeypatch.setattr(torch, "load", None)
    said = refusal(tmp_path / "bomb.pth")
    assert "bytes that unpacks to 84," in said and "made to fill the memory" in said


def test_no_room_is_made_for_parts_that_there_are_not(tmp_path: Path) -> None:
    put = b"r" + struct.pack("<I", 2**31)  # as number two billion of what was read so far
    (tmp_path / "x.pth").write_bytes(zipped(FOREIGN + b"}" + put))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "holds an empty dict" in refusal(tmp_path / "x.pth")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_an_archive_whose_parts_lie_in_one_another(tmp_path: Path) -> None:
    torch.save(smallconv(), tmp_path / "x.pth")
    content = bytearray((tmp_path / "x.pth").read_bytes())
    with zipfile.ZipFile(tmp_path / "x.pth") as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    size, place = struct.pack("<I", largest.file_size), 0
    while (place := content.find(b"PK\x01\x02", place + 1)) > 0:
        content[place + 20 : place + 28] = 2 * size
    (tmp_path / "x.pth").write_bytes(content)
    assert "lie in one another" in refusal(tmp_path / "x.pth")


# What a checkpoint of ours says of itself


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": "x"}, "checkpoint version x"),
        ({"version": torch.ones(2)}, "checkpoint version a Tensor"),
        ({"backbone": {1: torch.ones(1)}}, "no intact backbone"),
        ({"metadata": {1: 2}}, "metadata: found the key 1, expected a name"),
        ({"metadata": {"model": ["x"]}}, "metadata.model: found a list, expected text"),
        ({"metadata": {"dataset": {"a": 1}}}, "metadata.dataset: found a mapping, expected text"),
        ({"metadata": {"settings": 5}}, "metadata.settings: found 5, expected a mapping"),
        ({"metadata": {"settings": {"lower_lr": [1]}}}, "metadata.settings.lower_lr"),
        ({"metadata": {"labels_per_class": "x"}}, "metadata.labels_per_class: found 'x', expected a whole number"),
        ({"metadata": {"class_names": 5}}, "metadata.class_names: found 5, expected a list"),
        ({"metadata": {"split_fingerprint": []}}, "metadata.split_fingerprint: found a list, expected text"),
    ],
)
def test_a_file_of_ours_that_holds_something_else(tmp_path: Path, change, told: str) -> None:
    torch.save({**checkpoint_content(smallconv(), None, {}), **change}, tmp_path / "aligned.pt")
    assert told in refusal(tmp_path / "aligned.pt")


@pytest.mark.slow
def test_attributes_of_a_parameter_hide_nothing(tmp_path: Path, resnet) -> None:
    parameter = torch.nn.Parameter(torch.full_like(resnet["conv1.weight"], torch.nan))
    parameter.is_floating_point = collections.Counter
    torch.save({**resnet, "conv1.weight": parameter}, tmp_path / "hidden.pth")
    assert "NaN or infinity in 1 of its" in refusal(tmp_path / "hidden.pth")


@pytest.mark.slow
def test_names_can_not_move_the_cursor(tmp_path: Path) -> None:
    torch.save({"a\nbissl-ray: done \x1b[31m": torch.ones(1)}, tmp_path / "x.pth")
    assert "a\\nbissl-ray: done \\x1b[31m" in refusal(tmp_path / "x.pth")


# Strange, and not hostile


@pytest.mark.slow
@pytest.mark.parametrize(
    "beside",
    [
        {"best_acc1": torch.tensor(70.0), "arch": "resnet18", "epoch": 1},
        {"loss": torch.ones(3), "rng_state": torch.ones(8), "history": {"val": torch.ones(2)}},
        {"optimizer": {"exp_avg": {"conv1.weight": torch.ones(1), "layer1.0.conv1.weight": torch.ones(1)}}},
    ],
)
def test_what_lies_beside_a_state_dict_is_no_part_of_it(tmp_path: Path, resnet, beside) -> None:
    state = {f"module.{key}": value for key, value in resnet.items()}
    torch.save({"state_dict": state, **beside}, tmp_path / "imagenet-example.pth.tar")
    assert_same(loaded(tmp_path / "imagenet-example.pth.tar"), resnet)


@pytest.mark.slow
def test_an_optimizers_moments_are_no_network(tmp_path: Path, resnet) -> None:
    zeros = {key: 0 * value for key, value in resnet.items()}
    torch.save(
        {"model": resnet, "optimizer": {"ema": zeros, "exp_avg": zeros, "exp_avg_sq": zeros}}, tmp_path / "x.pth"
    )
    assert_same(loaded(tmp_path / "x.pth"), resnet)


@pytest.mark.slow
def test_a_damaged_archive_is_noted(tmp_path: Path, resnet) -> None:
    torch.save(resnet, tmp_path / "x.pth")
    content = bytearray((tmp_path / "x.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "x.pth").write_bytes(content)
    assert "does not fit its checksum: the file may be damaged" in load_checkpoint(tmp_path / "x.pth").notes[-1]


@pytest.mark.slow
@pytest.mark.parametrize(("prefix", "name"), [("", "x-main.pth"), ("net", "x-net.pth"), ("a/b", "x-a-b.pth")])
def test_any_of_several_networks_can_be_kept(tmp_path: Path, resnet, prefix: str, name: str) -> None:
    from bissl_ray.models.keep import keep

    second = {key: value + 1 for key, value in resnet.items()}
    torch.save({"model": resnet, "net": second, "a/b": second}, tmp_path / "x.pth")
    kept = keep(tmp_path / "x.pth", prefix)
    assert kept == tmp_path / name
    assert_same(loaded(kept), second if prefix else resnet)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: {**s, "conv1.weight": torch.ones(64, 3, 3, 3)}, "give a file of this architecture"),
        (lambda s: {**s, "conv1.weight": torch.ones(64, 13, 7, 7)}, "give a file of this architecture"),
        (lambda s: {k: v for k, v in s.items() if "running_" not in k}, "give a file of this architecture"),
        (
            lambda s: {(f"{k}_orig" if k == "layer1.0.conv1.weight" else k): v for k, v in s.items()},
            "its weights are kept in parts (pruning, ",
        ),
    ],
)
def test_where_the_essence_is_missing_no_part_is_offered(tmp_path: Path, resnet, change, told: str) -> None:
    torch.save(change(resnet), tmp_path / "x.pth")
    assert told in refusal(tmp_path / "x.pth") and "--allow-partial" not in refusal(tmp_path / "x.pth")


def test_one_processs_part_of_a_tensor_is_refused(tmp_path: Path) -> None:
    import torch.distributed as dist
    from torch.distributed.tensor import DeviceMesh, Replicate, distribute_tensor

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        part = distribute_tensor(torch.ones(4, 2), DeviceMesh("cpu", [0]), [Replicate()])
        torch.save({"conv1.weight": part}, tmp_path / "rank0.pth")
    finally:
        dist.destroy_process_group()
    assert "holds the parts of its tensors that one process of a distributed run kept" in refusal(
        tmp_path / "rank0.pth"
    )


def test_the_part_of_a_class_that_is_left_inert_is_refused(tmp_path: Path) -> None:
    place = named("torch.distributed._shard.sharded_tensor.api", "ShardedTensor")
    (tmp_path / "x.pth").write_bytes(zipped(b"}" + text("conv1.weight") + place + b")Rs"))
    assert "save the whole ones" in refusal(tmp_path / "x.pth")
