"""Names of Hugging Face's transformers and of ConvNeXt's own code are brought to the backbone's."""

from pathlib import Path

import pytest
import torch

from bissl_ray.models import build_backbone
from bissl_ray.models.timm_keys import in_timm_keys
from tests.models.given import assert_same, load, under


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
