"""Files that were made to do harm, or came to be strange: nothing of them runs, and each ends in a line or is read."""

import collections
import io
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone, load_backbone, load_checkpoint
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
)
def test_what_is_nested_too_deeply_is_a_line(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "deep.pth").write_bytes(content)
    assert told in refusal(tmp_path / "deep.pth")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (torch.eye(3).to_sparse(), "sparse"),
        (torch.empty(3, device="meta"), "meta"),
        (torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "quantised|qtensor"),
        (torch.ones(1).expand(10**14), "larger than what is stored of it"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_tensor_that_can_be_no_weight_is_a_line(tmp_path: Path, resnet, tensor: torch.Tensor, told: str) -> None:
    torch.save({**resnet, "conv1.weight": tensor}, tmp_path / "x.pth")
    assert any(word in refusal(tmp_path / "x.pth") for word in told.split("|"))


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
@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.bool])
def test_whole_numbers_are_no_weights(tmp_path: Path, resnet, kind: torch.dtype) -> None:
    torch.save(
        {key: (100 * value).to(kind) if value.dim() else value for key, value in resnet.items()}, tmp_path / "q.pth"
    )
    assert f"of {str(kind).removeprefix('torch.')} instead of (64, 3, 7, 7)" in refusal(tmp_path / "q.pth")


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
