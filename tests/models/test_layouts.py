"""Checkpoints with the keys that other code writes: the backbone is found, everything else is left out."""

import argparse
import json
import subprocess

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone, load_backbone, load_checkpoint
from bissl_ray.pretext.simclr import SimCLR
from tests.models.given import other, under

HEAD = {"0.weight": torch.ones(4, 512), "0.bias": torch.ones(4), "2.weight": torch.ones(2, 4)}
OPTIMIZER = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}


def solo_learn(state):
    return {
        "epoch": 99,
        "global_step": 1000,
        "pytorch-lightning_version": "1.9.0",
        "state_dict": {
            **under("backbone.", state),
            **under("projector.", HEAD),
            "classifier.weight": torch.ones(10, 512),
            **under("momentum_backbone.", other(state)),
        },
        "optimizer_states": [OPTIMIZER],
    }


def lightly(state):
    network = get_model("resnet18", weights=None)
    network.load_state_dict(state, strict=False)
    children = nn.Sequential(*list(network.children())[:-1])
    named = under("backbone.", children.state_dict())
    return {
        "state_dict": {**named, **under("projection_head.layers.", HEAD), **under("backbone_momentum.", other(named))}
    }


def vissl(state):
    trunk = under("_feature_blocks.", state)
    model = {"trunk": trunk, "heads": {"0.clf.0.weight": torch.ones(2, 512)}}
    return {"phase_idx": 3, "classy_state_dict": {"base_model": {"model": model, "meta": {}}, "losses": {}}}


def moco(state):
    encoders = {**under("module.encoder_q.", state), **under("module.encoder_k.", other(state))}
    heads = {**under("module.encoder_q.fc.", HEAD), **under("module.encoder_k.fc.", HEAD)}
    queue = {"module.queue": torch.ones(4, 8), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    return {"epoch": 200, "arch": "resnet18", "state_dict": encoders | heads | queue, "optimizer": OPTIMIZER}


def moco_v3(state):
    encoders = {**under("module.base_encoder.", state), **under("module.momentum_encoder.", other(state))}
    heads = {**under("module.base_encoder.fc.", HEAD), **under("module.predictor.", HEAD)}
    return {"epoch": 1, "state_dict": encoders | heads, "optimizer": OPTIMIZER, "scaler": {"scale": 1.0}}


def simsiam(state):
    heads = {**under("module.encoder.fc.", HEAD), **under("module.predictor.", HEAD)}
    return {"epoch": 1, "arch": "resnet18", "state_dict": {**under("module.encoder.", state), **heads}}


def byol_learner(state):
    online = {**under("online_encoder.net.", state), **under("online_encoder.projector.net.", HEAD)}
    target = {**under("target_encoder.net.", other(state)), **under("target_encoder.projector.net.", HEAD)}
    return {**online, **target, **under("online_predictor.net.", HEAD)}


def byol_networks(state):
    online = {**under("encoder.", lightly_children(state)), **under("projetion.net.", HEAD)}
    return {
        "online_network_state_dict": online,
        "target_network_state_dict": other(online),
        "optimizer_state_dict": OPTIMIZER,
    }


def lightly_children(state):
    return {
        key.removeprefix("backbone."): value for key, value in lightly(state)["state_dict"].items() if key[9].isdigit()
    }


def dino(state):
    teacher = {**under("backbone.", state), **under("head.mlp.", HEAD)}
    student = under("module.", other(teacher))
    return {"student": student, "teacher": teacher, "optimizer": OPTIMIZER, "epoch": 100}


def swav(state):
    heads = {**under("module.projection_head.", HEAD), "module.prototypes.weight": torch.ones(30, 2)}
    return {**under("module.", state), **heads}


def vicreg(state):
    model = {**under("module.backbone.", state), **under("module.projector.", HEAD)}
    return {"epoch": 1, "model": model, "optimizer": OPTIMIZER}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dress", "said"),
    [
        (solo_learn, "solo-learn"),
        (lightly, "lightly"),
        (vissl, "VISSL (classy_state_dict.base_model.trunk._feature_blocks.*)"),
        (moco, "MoCo (encoder_q.*)"),
        (moco_v3, "MoCo v3 (base_encoder.*)"),
        (simsiam, "SimSiam"),
        (byol_learner, "BYOL (online_encoder.net.*)"),
        (byol_networks, "BYOL (online_network_state_dict.encoder.*)"),
        (dino, "DINO (teacher.backbone.*)"),
        (swav, None),
        (vicreg, "VICReg"),
    ],
)
def test_the_backbone_of_a_layout_is_found(tmp_path, resnet, dress, said):
    torch.save(dress(resnet), tmp_path / "ssl.pth")
    loaded = load_checkpoint(tmp_path / "ssl.pth")
    backbone = build_backbone("resnet18")
    report = load_backbone(backbone, loaded.backbone, "ssl.pth")
    assert report.complete
    assert report.matched == sum(not name.endswith("num_batches_tracked") for name in resnet)
    state = backbone.state_dict()
    assert all(torch.equal(state[key], value) for key, value in resnet.items())
    assert loaded.pretext is None
    assert said is None or said in loaded.notes[0]


def as_lightning(state):
    return {**solo_learn(state), "hyper_parameters": argparse.Namespace(lr=0.1)}


def as_vissl(state):
    return {**vissl(state), "config": argparse.Namespace(arch="resnet18")}


def as_byol(state):
    return {**byol_networks(state), "options": argparse.Namespace(lr=0.1)}


def as_student(state):
    student = under("module.", dino(state)["teacher"])
    return {"student": student, "optimizer": OPTIMIZER, "args": argparse.Namespace(arch="resnet18")}


def as_module(state):
    network = get_model("resnet18", weights=None)
    network.load_state_dict(state, strict=False)
    return network


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dress", "holds"),
    [
        (as_lightning, "argparse.Namespace"),
        (as_vissl, "argparse.Namespace"),
        (as_byol, "argparse.Namespace"),
        (as_student, "argparse.Namespace"),
        (as_module, "torchvision.models.resnet.ResNet"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_with_pickled_settings_is_read_and_these_are_left_unread(tmp_path, resnet, dress, holds, zipped):
    torch.save(dress(resnet), tmp_path / "last.ckpt", _use_new_zipfile_serialization=zipped)
    loaded = load_checkpoint(tmp_path / "last.ckpt")
    assert "left unread, and nothing of it was run: pickled" in loaded.notes[-1] and holds in loaded.notes[-1]
    backbone = build_backbone("resnet18")
    assert load_backbone(backbone, loaded.backbone, "x").complete
    assert all(torch.equal(backbone.state_dict()[key], value) for key, value in resnet.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dress", "said"),
    [
        (lambda state: {"model": {"state_dict": state}, "epoch": 3}, None),
        (lambda state: {"state_dict": {"model": {"model_state_dict": under("module.", state)}}}, None),
        (lambda state: {"state_dict": under("model.", {**state, "fc.weight": torch.ones(10, 512)})}, "under model.*"),
        (lambda state: {"state_dict": {**under("resnet.", state), "loss.margin": torch.ones(1)}}, "under resnet.*, 1"),
        (lambda state: under("net.", state), "under net.*"),
        (lambda state: under("encoder.", state), "encoder.*"),
        (lambda state: {"model": {"state_dict": under("model.encoder.", state)}}, "under model.encoder.*"),
    ],
)
def test_a_backbone_is_found_however_deep_it_lies(tmp_path, resnet, dress, said):
    torch.save(dress(resnet), tmp_path / "deep.pth")
    loaded = load_checkpoint(tmp_path / "deep.pth")
    backbone = build_backbone("resnet18")
    assert load_backbone(backbone, loaded.backbone, "deep.pth").complete
    assert all(torch.equal(backbone.state_dict()[key], value) for key, value in resnet.items())
    assert said in loaded.notes[0] if said else loaded.notes == ()


@pytest.mark.slow
def test_of_two_networks_none_is_guessed(tmp_path, resnet):
    path = tmp_path / "it's two.pth"
    torch.save({**under("fast.", resnet), **under("slow.", other(resnet))}, path)
    with pytest.raises(BadInputError, match=r"holds 2 networks, fast\.\*, slow\.\*, and does not say which") as error:
        load_checkpoint(path)
    # The command does what it says.
    done = subprocess.run(["sh", "-c", str(error.value).partition("give that: ")[2]], capture_output=True, text=True)
    assert done.stdout == f"{tmp_path}/it's two-fast.pth\n", done.stderr
    loaded = load_checkpoint(tmp_path / "it's two-fast.pth")
    assert all(torch.equal(loaded.backbone[key], value) for key, value in resnet.items())


def test_a_part_that_begins_like_another_architecture_is_no_backbone(tmp_path):
    # As timm's efficientformer: its stem has a conv1, and most of it lies elsewhere.
    state = {"stem.conv1.weight": torch.ones(4, 3, 3, 3), **under("stages.0.", HEAD)}
    torch.save(state, tmp_path / "other.pth")
    assert load_checkpoint(tmp_path / "other.pth").backbone.keys() == state.keys()


def test_the_small_transformer_of_moco_v3_has_other_heads(tmp_path):
    state = build_backbone("vit_s_16", image_size=32).state_dict()
    renamed = {"cls_token": state["class_token"], "pos_embed": state["encoder.pos_embedding"]}
    torch.save({"state_dict": under("module.base_encoder.", renamed)}, tmp_path / "vit-s.pth.tar")
    with pytest.raises(BadInputError, match="small transformer of MoCo v3 with 12 heads"):
        load_checkpoint(tmp_path / "vit-s.pth.tar")


# The published files


def publish(folder, state, projector=None, settings=None, kind="backbone"):
    stem = f"Pretext_simclr_arch-resnet18_{kind}_id-hb63rtyl"
    torch.save(state, folder / f"{stem}.pth")
    if projector is not None:
        torch.save(projector, folder / f"{stem.replace('backbone', 'head')}.pth")
    if settings is not None:
        (folder / "Pretext_simclr_arch-resnet18_config_id-hb63rtyl.json").write_text(settings)
    return folder / f"{stem}.pth"


@pytest.mark.parametrize("kind", ["backbone", "lower_backbone"])
def test_the_published_head_and_settings_are_found_beside_the_backbone(tmp_path, resnet, kind):
    torch.manual_seed(0)
    task = SimCLR(512, 256, 256, 0.5, "per_worker")
    settings = {"backbone_arch": "resnet18", "img_size": 96, "pretext_task": "simclr", "projector_mlp": "256-256-256"}
    path = publish(tmp_path, resnet, task.state_dict(), json.dumps(settings), kind)
    loaded = load_checkpoint(path)
    assert loaded.metadata == {"published": settings}
    assert "trained with backbone_arch resnet18, img_size 96, pretext_task simclr" in loaded.notes[0]
    assert "_head_id-hb63rtyl.pth" in loaded.notes[-1]
    backbone, fresh = build_backbone("resnet18"), SimCLR(512, 256, 256, 0.5, "per_worker")
    assert load_backbone(backbone, loaded.backbone, str(path)).complete
    fresh.load_head(loaded.pretext, backbone, str(path))
    assert all(torch.equal(a, b) for a, b in zip(task.parameters(), fresh.parameters(), strict=True))


def test_without_files_beside_it_there_is_no_head(tmp_path, resnet):
    loaded = load_checkpoint(publish(tmp_path, resnet))
    assert (loaded.pretext, loaded.metadata, loaded.notes) == (None, {}, ())


def test_a_head_can_be_given(tmp_path, resnet):
    path = publish(tmp_path, resnet)
    torch.save(under("module.projector.", HEAD), tmp_path / "mine.pth")
    assert load_checkpoint(path, tmp_path / "mine.pth").pretext.keys() == under("projector.", HEAD).keys()
    with pytest.raises(BadInputError, match=r"holds 0 tensors of a pretext head and 120 others; expected projector"):
        load_checkpoint(path, path)


def test_settings_that_are_no_json_are_named(tmp_path, resnet):
    path = publish(tmp_path, resnet, settings="{")
    with pytest.raises(BadInputError, match=r"config_id-hb63rtyl\.json is not JSON"):
        load_checkpoint(path)
