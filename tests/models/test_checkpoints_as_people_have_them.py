"""Checkpoints as people have them: told by content, found by shape, and never advice that would do harm."""

import io
import json
import shlex
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
from bissl_ray.models import build_backbone, load_backbone, load_checkpoint
from bissl_ray.models.timm_keys import in_timm_keys


@pytest.fixture(scope="module")
def resnet() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {key: value for key, value in get_model("resnet18", weights=None).state_dict().items() if key[:3] != "fc."}


@pytest.fixture(scope="module")
def vit() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(build_backbone("vit_ti_16", image_size=32).state_dict())


def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}


def other(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A second network, which must not be taken."""
    return {key: torch.full_like(value, 7) for key, value in state.items()}


def load(path: Path, name: str, size: int = 32) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """The backbone that a file fills as a whole, and the notes on the file."""
    loaded = load_checkpoint(path)
    backbone = build_backbone(name, image_size=size)
    assert load_backbone(backbone, loaded.backbone, path.name).complete
    return backbone.state_dict(), loaded.notes


def assert_same(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert all(torch.equal(state[key], value) for key, value in expected.items())


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
    subprocess.run(shlex.split(str(error.value).partition("give that: ")[2]), check=True, capture_output=True)
    assert_same(load(tmp_path / "step-tensors.pth", "resnet18")[0], resnet)


@pytest.mark.slow
def test_a_script_extracted_as_it_is_told(tmp_path: Path, resnet) -> None:
    network = get_model("resnet18", weights=None)
    network.load_state_dict(resnet, strict=False)
    path = tmp_path / "it's scripted.pt"
    torch.jit.script(network).save(str(path))
    with pytest.raises(BadInputError, match="is a TorchScript archive; if you trust who made it, write its tensors into a file") as error:
        load_checkpoint(path)
    subprocess.run(shlex.split(str(error.value).partition("give that: ")[2]), check=True, capture_output=True)
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


def test_one_processs_parts_of_tensors_are_refused(tmp_path: Path) -> None:
    from bissl_ray.models.inert import is_sharded

    assert is_sharded(["torch.distributed._shard.sharded_tensor.api.ShardedTensor"])
    assert is_sharded(["torch.distributed.tensor.DTensor"]) and not is_sharded(["argparse.Namespace"])


WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")


@pytest.mark.slow
@pytest.mark.parametrize("wrapper", [*(f"{name}." for name in WRAPPERS), "module._orig_mod.module."])
@pytest.mark.parametrize("prefix", ["", "backbone.", "encoder_q."])
def test_what_wraps_a_network_is_taken_off(tmp_path: Path, resnet, wrapper: str, prefix: str) -> None:
    inside = {key.replace("layer1.0.", f"layer1.0.{wrapper}"): value for key, value in resnet.items()}
    torch.save({"state_dict": under(wrapper + prefix, inside)}, tmp_path / "wrapped.pth")
    assert_same(load(tmp_path / "wrapped.pth", "resnet18")[0], resnet)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dress", "taken"),
    [
        (lambda s: {"model": other(s), "model_ema": s}, "model_ema.* was taken, and not the one without"),
        (lambda s: {"state_dict": other(s), "state_dict_ema": s}, "state_dict_ema.* was taken"),
        (lambda s: {**under("online_encoder.", s), **under("target_encoder.", other(s))}, "online_encoder.* was taken"),
        (lambda s: {"student": {"backbone": other(s)}, "teacher": {"backbone": s}}, "teacher.backbone.* was taken"),
        (lambda s: {"encoder": other(s), "target_encoder": s, "predictor": {}}, "target_encoder.* was taken"),
        (lambda s: {**under("encoder_q.", s), **under("encoder_k.", other(s))}, "encoder_q.* was taken"),
        (lambda s: {**under("backbone.", s), **under("backbone_momentum.", other(s))}, "backbone.* was taken"),
        (lambda s: {**s, **under("momentum_encoder.", other(s))}, "the one without a prefix was taken"),
        (lambda s: {**under("net.", other(s)), **under("average_model.", s)}, "average_model.* was taken"),
    ],
)
def test_of_two_networks_the_evaluated_one_is_taken_and_named(tmp_path: Path, resnet, dress, taken: str) -> None:
    torch.save(dress(resnet), tmp_path / "two.pth")
    state, notes = load(tmp_path / "two.pth", "resnet18")
    assert_same(state, resnet)
    assert any(f"of several networks in the file {taken}" in note for note in notes), notes


@pytest.mark.slow
def test_an_average_by_torch_is_named(tmp_path: Path, resnet) -> None:
    torch.save({"n_averaged": torch.tensor(12), **under("module.", resnet)}, tmp_path / "swa.pth")
    state, notes = load(tmp_path / "swa.pth", "resnet18")
    assert_same(state, resnet)
    assert notes == ("an average of 12 models (SWA or EMA)",)


def as_list(state: dict[str, torch.Tensor], without_pooling: bool = False) -> dict[str, torch.Tensor]:
    names = ["conv1", "bn1", "relu", *([] if without_pooling else ["maxpool"]), "layer1", "layer2", "layer3", "layer4"]
    return {f"{names.index(key.partition('.')[0])}.{key.partition('.')[2]}": value for key, value in state.items()}


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "f.", "features.", "net.", "model.encoder.0.", "backbone.resnet."])
@pytest.mark.parametrize("without_pooling", [False, True])
def test_a_list_of_parts_is_named(tmp_path: Path, resnet, prefix: str, without_pooling: bool) -> None:
    head = {"g.0.weight": torch.ones(4, 512), "g.1.running_mean": torch.ones(4)}
    torch.save({**under(prefix, as_list(resnet, without_pooling)), **head}, tmp_path / "list.pth")
    loaded = load_checkpoint(tmp_path / "list.pth")
    backbone = build_backbone("resnet18")
    load_backbone(backbone, loaded.backbone, "list.pth", allow_partial=True)
    assert_same(backbone.state_dict(), resnet)


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "vit.", "backbone.vit.", "model.backbone.", "encoder."])
@pytest.mark.parametrize("keys", ["torchvision", "timm"])
def test_a_transformer_is_found_under_any_prefix(tmp_path: Path, vit, prefix: str, keys: str) -> None:
    dressed = vit if keys == "torchvision" else in_timm_keys("vit_ti_16", vit)
    torch.save({"state_dict": under(prefix, dressed), "optimizer": {"state": {0: {}}}}, tmp_path / "vit.pth")
    assert_same(load(tmp_path / "vit.pth", "vit_ti_16")[0], vit)


def hugging_face_vit(state: dict[str, torch.Tensor], version: int) -> dict[str, torch.Tensor]:
    """As transformers 4 and 5 name it, after ViTForImageClassification(...).state_dict() there."""
    timm = in_timm_keys("vit_ti_16", state)
    layer = "encoder.layer" if version == 4 else "layers"
    names = {
        **{"norm1": "layernorm_before", "norm2": "layernorm_after"},
        **{"attn.proj": "attention.output.dense" if version == 4 else "attention.o_proj"},
        **{"mlp.fc1": "intermediate.dense" if version == 4 else "mlp.fc1"},
        **{"mlp.fc2": "output.dense" if version == 4 else "mlp.fc2"},
    }
    parts = ("attention.attention.query", "attention.attention.key", "attention.attention.value")
    if version == 5:
        parts = ("attention.q_proj", "attention.k_proj", "attention.v_proj")
    dressed = {}
    for key, value in timm.items():
        if key.startswith("blocks."):
            _, number, rest = key.split(".", 2)
            inner, _, kind = rest.rpartition(".")
            if inner == "attn.qkv":
                for part, chunk in zip(parts, value.chunk(3), strict=True):
                    dressed[f"{layer}.{number}.{part}.{kind}"] = chunk
            else:
                dressed[f"{layer}.{number}.{names[inner]}.{kind}"] = value
        else:
            first = {"cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings"}.get(key)
            patch = key.replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
            dressed[first or patch.replace("norm.", "layernorm.")] = value
    return dressed


@pytest.mark.slow
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("prefix", ["", "vit."])
def test_a_transformer_of_hugging_face(tmp_path: Path, vit, version: int, prefix: str) -> None:
    dressed = under(prefix, hugging_face_vit(vit, version))
    extra = {"classifier.weight": torch.ones(2, 192), "decoder.mask_token": torch.ones(1)}
    torch.save(
        {**dressed, **extra} if prefix else {**dressed, "pooler.dense.weight": torch.ones(2, 2)}, tmp_path / "hf.bin"
    )
    assert_same(load(tmp_path / "hf.bin", "vit_ti_16")[0], vit)


def hugging_face_resnet(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    kinds = {"conv": "convolution", "bn": "normalization"}
    dressed = {}
    for key, value in state.items():
        words = key.split(".")
        if words[0] in ("conv1", "bn1"):
            dressed[f"embedder.embedder.{kinds[words[0][:-1]]}.{words[1]}"] = value
            continue
        place = f"encoder.stages.{int(words[0][-1]) - 1}.layers.{words[1]}"
        if words[2] == "downsample":
            dressed[f"{place}.shortcut.{'convolution' if words[3] == '0' else 'normalization'}.{words[4]}"] = value
        else:
            dressed[f"{place}.layer.{int(words[2][-1]) - 1}.{kinds[words[2][:-1]]}.{words[3]}"] = value
    return dressed


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "resnet."])
def test_a_residual_network_of_hugging_face(tmp_path: Path, resnet, prefix: str) -> None:
    dressed = under(prefix, hugging_face_resnet(resnet))
    torch.save({**dressed, "classifier.1.weight": torch.ones(2, 512)} if prefix else dressed, tmp_path / "hf.bin")
    assert_same(load(tmp_path / "hf.bin", "resnet18")[0], resnet)


def convnext_in(state: dict[str, torch.Tensor], whose: str) -> dict[str, torch.Tensor]:
    dressed = {}
    for key, value in in_timm_keys("convnext_tiny", state).items():
        name = key
        for old, new in (("conv_dw", "dwconv"), ("mlp.fc", "pwconv")):
            name = name.replace(old, new)
        if whose == "its own":
            name = name.replace("stem.", "downsample_layers.0.").replace("head.norm.", "norm.").replace(".blocks.", ".")
            if ".downsample." in name:
                name = f"downsample_layers.{name.split('.')[1]}.{name.split('.downsample.')[1]}"
        else:
            name = name.replace("stem.0.", "embeddings.patch_embeddings.").replace("stem.1.", "embeddings.layernorm.")
            name = (
                name.replace("head.norm.", "layernorm.")
                .replace(".blocks.", ".layers.")
                .replace(".norm.", ".layernorm.")
            )
            name = name.replace(".gamma", ".layer_scale_parameter").replace(".downsample.", ".downsampling_layer.")
            name = f"encoder.{name}" if name.startswith("stages.") else name
        dressed[name] = value
    return dressed


@pytest.mark.slow
@pytest.mark.parametrize(("whose", "prefix"), [("its own", ""), ("Hugging Face", "convnext."), ("Hugging Face", "")])
def test_a_convnext_of_other_code(tmp_path: Path, whose: str, prefix: str) -> None:
    torch.manual_seed(0)
    state = dict(build_backbone("convnext_tiny").state_dict())
    torch.save({"model": under(prefix, convnext_in(state, whose))}, tmp_path / "convnext.pth")
    assert_same(load(tmp_path / "convnext.pth", "convnext_tiny")[0], state)


BESIDE = {
    **{"mask_token": torch.ones(1, 1, 192), "decoder_pos_embed": torch.ones(1, 5, 96), "logit_scale": torch.ones(())},
    **{"decoder_embed.weight": torch.ones(96, 192), "decoder_blocks.0.norm1.weight": torch.ones(96)},
    **{"decoder_norm.bias": torch.ones(96), "decoder_pred.weight": torch.ones(9, 96), "queue": torch.ones(8, 2)},
}


@pytest.mark.slow
def test_a_decoder_beside_a_whole_backbone_is_left_out(tmp_path: Path, vit) -> None:
    torch.save({"model": {**in_timm_keys("vit_ti_16", vit), **BESIDE}}, tmp_path / "mae.pth")
    assert_same(load(tmp_path / "mae.pth", "vit_ti_16")[0], vit)


@pytest.mark.slow
def test_an_empty_state_dict_beside_a_full_model_is_passed_over(tmp_path: Path, resnet) -> None:
    torch.save({"state_dict": {}, "model": resnet, "epoch": 3}, tmp_path / "empty-first.pth")
    assert_same(load(tmp_path / "empty-first.pth", "resnet18")[0], resnet)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "advice", "harm"),
    [
        # A deeper network: what it has more is no head.
        (
            lambda s: {**s, "layer1.2.conv1.weight": torch.ones(64, 64, 3, 3)},
            "it is a larger network: give a file of this architecture",
            "--allow-partial",
        ),
        # What could change what is computed is not left out unasked.
        (lambda s: {**s, "norm_pre.weight": torch.ones(3)}, "--allow-partial if they change nothing of what", None),
        # All is there under other names.
        (
            lambda s: {key.replace("layer3", "stage3"): value for key, value in s.items()},
            "under other names, such as stage3.0.conv2.weight for layer3.0.conv2.weight: rename them",
            "--allow-partial",
        ),
        # Hardly anything fits: a part would be worth nothing.
        (
            lambda s: {k: v for k, v in s.items() if k.startswith("layer1")},
            "give a file of this architecture",
            "--allow",
        ),
    ],
)
def test_advice_does_no_harm(tmp_path: Path, resnet, change, advice: str, harm: str | None) -> None:
    backbone = build_backbone("resnet18")
    with pytest.raises(BadInputError) as error:
        load_backbone(backbone, change(resnet), "x.pth")
    assert advice in str(error.value), error.value
    assert harm is None or harm not in str(error.value)
