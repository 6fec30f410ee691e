"""What is no checkpoint is told by its content, with a command that works where there is one."""

import io
import json
import subprocess
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import get_model

from bissl_ray.errors import BadInputError
from bissl_ray.models import load_checkpoint
from tests.models.given import assert_same, load


def zipped(**content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.pth"))
    return stream.getvalue()


def numpy_archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, kernel=np.ones(3))
    return stream.getvalue()


INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.pth", b"\x1f\x8b\x08\0rest", "is a gzip archive; unpack it, and give the checkpoint that is inside"),
        ("m.pth.tar", tarred(), "is a tar archive; unpack it"),
        ("m.pth", b"BZh91AY", "is a bzip2 archive; unpack it"),
        ("m.pth", b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive; unpack it"),
        ("m.zip", zipped(readme=b"hello"), "is a zip archive of readme and no file of torch.save; unpack it"),
        (
            "m.npz",
            numpy_archive(),
            "is a NumPy archive of 1 arrays (kernel.npy, ...); expected tensors",
        ),
        ("m.npy", b"\x93NUMPY\x01\0", "is a NumPy array; expected tensors by name: write them with torch.save"),
        (
            "m.pth",
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a Git LFS pointer, .*; fetch the file itself: g",
        ),
        ("m.pth", b"<!DOCTYPE html><html>Sign in</html>", "is a web page; fetch the file itself: a download link, not"),
        ("m.safetensors", b"\n<html>404</html>", "is a web page"),
        ("m.h5", b"\x89HDF\r\n\x1a\nrest", "is an HDF5 file, as Keras and TensorFlow write them; convert its weights"),
        ("model.ckpt.index", b"\0\0rest", "is a part of a TensorFlow checkpoint; convert its weights"),
        ("model.ckpt.data-00000-of-00001", b"\0\x01", "is a part of a TensorFlow checkpoint"),
        ("checkpoint", b'model_checkpoint_path: "x"', "is a part of a TensorFlow checkpoint"),
        ("saved_model.pb", b"\x08\x01\x12\x02", "is a part of a TensorFlow checkpoint"),
        ("m.onnx", b"\x08\x07\x12\x07pytorch", "is an ONNX model; give the weights that it was exported from"),
        ("m.pth", b"\x08\x07\x12\x07pytorch", "is an ONNX model"),
        ("m.gguf", b"GGUF\x03\0\0\0", "is a GGUF file; give the model's own weights, as .safetensors"),
        ("m.msgpack", b"\x81\xa6params", "is a checkpoint of Flax; convert it to torch"),
        ("m.pth", b"\0" * 4096, "is a file of zeros alone, as a broken download leaves it; fetch it again"),
        ("m.pth", b"\x89PNG\r\n\x1a\n", "is a PNG image; give a checkpoint"),
        (
            "m.index.json",
            INDEX.encode(),
            "is an index of the files that hold the tensors, model-0.* and 1 more; join",
        ),
        ("config.json", b'{"model_type": "vit"}', "is a JSON text; give the file of the tensors that it belongs to"),
        (
            "m.pth",
            b"PK\x03\x04cut",
            "is cut short: its end, which says what is in it, is missing; fetch",
        ),
    ],
    ids=lambda part: f"{len(part)} bytes" if isinstance(part, bytes) else None,  # an archive's hold the time
)
def test_what_is_no_checkpoint_is_told_by_its_content(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=f"^{tmp_path}/{name} {told.replace('(', '.').replace(')', '.')}") as error:
        load_checkpoint(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        (("config.json", "model.safetensors"), "give {}/model.safetensors$"),
        (("last.ckpt", "epoch=9.ckpt"), "give one of epoch=9.ckpt, last.ckpt$"),
        ((".metadata", "__0_0.distcp"), "distributed checkpoint; join it .*format_utils dcp_to_torch {} "),
        (("zero_to_fp32.py", "latest"), "of DeepSpeed; join it in one file, and give that: .*zero_to_fp32.py {} "),
        ((), "is a folder; expected a file, .pth, .pt or .safetensors$"),
    ],
)
def test_a_folder_names_the_file_that_is_meant(tmp_path: Path, inside: tuple[str, ...], told: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in inside:
        (folder / name).touch()
    with pytest.raises(BadInputError, match=told.format(folder)):
        load_checkpoint(folder)


@pytest.mark.slow
def test_a_distributed_checkpoint_joined_as_it_is_told(tmp_path: Path, resnet) -> None:
    import torch.distributed.checkpoint as dcp

    dcp.save({"model": resnet}, checkpoint_id=str(tmp_path / "step"), no_dist=True)
    with pytest.raises(BadInputError) as error:
        load_checkpoint(tmp_path / "step")
    subprocess.run(["sh", "-c", str(error.value).partition("give that: ")[2]], check=True, capture_output=True)
    assert_same(load(tmp_path / "step-tensors.pth", "resnet18")[0], resnet)


@pytest.mark.slow
def test_a_script_extracted_as_it_is_told(tmp_path: Path, resnet) -> None:
    network = get_model("resnet18", weights=None)
    network.load_state_dict(resnet, strict=False)
    path = tmp_path / "it's scripted.pt"
    torch.jit.script(network).save(str(path))
    with pytest.raises(BadInputError, match="is a TorchScript archive; if you trust who made it, write") as error:
        load_checkpoint(path)
    subprocess.run(["sh", "-c", str(error.value).partition("give that: ")[2]], check=True, capture_output=True)
    assert_same(load(tmp_path / "it's scripted-tensors.pth", "resnet18")[0], resnet)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "format"), [(".pth", "safetensors"), (".bin", "safetensors"), (".safetensors", "torch")]
)
def test_the_content_decides_and_not_the_suffix(tmp_path: Path, resnet, suffix: str, format: str) -> None:
    path = tmp_path / f"weights{suffix}"
    if format == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(resnet, str(path))
    else:
        torch.save(resnet, path)
    assert_same(load(path, "resnet18")[0], resnet)


@pytest.mark.slow
def test_a_module_whose_package_is_absent_is_read(tmp_path: Path, resnet) -> None:
    gone = types.ModuleType("gone_package")

    class Learner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = get_model("resnet18", weights=None)
            self.backbone.load_state_dict(resnet, strict=False)
            self.settings = {"lr": 0.1}

    Learner.__module__, Learner.__qualname__ = "gone_package", "Learner"
    gone.Learner = Learner
    sys.modules["gone_package"] = gone
    try:
        torch.save({"net": Learner(), "epoch": 3}, tmp_path / "learner.pt")
    finally:
        del sys.modules["gone_package"]
    state, notes = load(tmp_path / "learner.pt", "resnet18")
    assert_same(state, resnet)
    assert "nothing of it was run: pickled gone_package.Learner" in notes[-1]


@pytest.mark.slow
def test_an_exported_program_extracted_as_it_is_told(tmp_path: Path, resnet) -> None:
    network = get_model("resnet18", weights=None).eval()
    network.load_state_dict(resnet, strict=False)
    path = tmp_path / "program.pt2"
    torch.export.save(torch.export.export(network, (torch.ones(2, 3, 32, 32),)), str(path))
    with pytest.raises(BadInputError, match=r"is a program of torch\.export; if you trust who made it, write") as error:
        load_checkpoint(path)
    command = str(error.value).partition("give that: ")[2]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert_same(load(tmp_path / "program-tensors.pth", "resnet18")[0], resnet)
