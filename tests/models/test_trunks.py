"""Which network of a checkpoint is the backbone: whatever wraps it, lies beside it, or follows it."""

from pathlib import Path

import pytest
import torch

from bissl_ray.models import build_backbone, load_backbone, load_checkpoint
from bissl_ray.models.timm_keys import in_timm_keys
from tests.models.given import assert_same, load, other, under

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


def test_of_an_unknown_architecture_the_teacher_is_taken_too(tmp_path: Path) -> None:
    state = {"first.weight": torch.ones(2), "second.bias": torch.ones(3)}
    content = {"student": {"backbone": other(state), "head": {"w": torch.ones(1)}}, "teacher": {"backbone": state}}
    torch.save(content, tmp_path / "dino.pth")
    loaded = load_checkpoint(tmp_path / "dino.pth")
    assert_same(loaded.backbone, state)
    assert loaded.backbone.keys() == state.keys() and "DINO (teacher.backbone.*)" in loaded.notes[0]
