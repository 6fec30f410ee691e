"""Checkpoints that are named by the address of a storage are read as those of this machine."""

import json

import pytest
import torch

from bissl_ray.compare.starts import Start, starts_of
from bissl_ray.config.options import CompareOptions, StageOptions, SweepOptions
from bissl_ray.config.requests import CheckpointChoice
from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone
from bissl_ray.preflight.checkpoints import read_checkpoint
from bissl_ray.preflight.sweeps import check_pretrained
from bissl_ray.stages.prepare import prepare_stage
from bissl_ray.sweep.run import prepare_request
from tests.compare.asking import prepared

STEM = "Pretext_simclr_arch-smallconv_{}_id-hb63rtyl"
HEAD = {"projector.0.weight": torch.ones(4, 64)}


@pytest.fixture
def published(tmp_path):
    """The three files that are published together, and one that has no companions."""
    torch.save(build_backbone("smallconv").state_dict(), tmp_path / f"{STEM.format('lower_backbone')}.pth")
    torch.save(HEAD, tmp_path / f"{STEM.format('lower_head')}.pth")
    (tmp_path / f"{STEM.format('config')}.json").write_text(json.dumps({"img_size": 96}))
    torch.save(build_backbone("smallconv").state_dict(), tmp_path / "plain.pth")
    return tmp_path


def test_what_was_published_beside_a_checkpoint_is_found_in_a_storage_too(published):
    path = f"{published}/{STEM.format('lower_backbone')}.pth"
    here, there = (read_checkpoint(CheckpointChoice(file=each)) for each in (path, f"file://{path}"))
    assert there.pretext.keys() == here.pretext.keys() == HEAD.keys()
    assert there.metadata == here.metadata == {"published": {"img_size": 96}}
    assert there.notes == here.notes
    assert "img_size 96" in here.notes[0] and "lower_head_id-hb63rtyl.pth" in here.notes[1]


def test_a_head_may_lie_in_a_storage(published):
    head = f"file://{published}/{STEM.format('lower_head')}.pth"
    for path in (f"{published}/plain.pth", f"file://{published}/plain.pth"):
        assert read_checkpoint(CheckpointChoice(file=path)).pretext is None
        assert read_checkpoint(CheckpointChoice(file=path, head=head)).pretext.keys() == HEAD.keys()


def test_what_is_wrong_is_said_of_the_address(tmp_path):
    address = f"file://{tmp_path}"
    with pytest.raises(BadInputError, match=rf"no checkpoint file at {address}/nowhere.pth: check the address"):
        read_checkpoint(CheckpointChoice(file=f"{address}/nowhere.pth"))
    with pytest.raises(BadInputError, match=r"'nosuch://.*can't be opened"):
        read_checkpoint(CheckpointChoice(file="nosuch://bucket/file.pth"))
    (tmp_path / "empty.pth").touch()
    with pytest.raises(BadInputError, match=rf"^in {address}: empty.pth is empty"):
        read_checkpoint(CheckpointChoice(file=f"{address}/empty.pth"))
    network = {"conv1.weight": torch.ones(1), "layer1.0.conv1.weight": torch.ones(1)}
    torch.save({"fast": network, "slow": network}, tmp_path / "last.ckpt")
    with pytest.raises(BadInputError) as error:
        read_checkpoint(CheckpointChoice(file=f"{address}/last.ckpt"))
    # The command is for a copy of the file, which has no place yet.
    assert str(error.value).endswith("keep last.ckpt fast")


def test_every_verb_keeps_the_address_that_was_given(published):
    backbone, head = (f"file://{published}/{STEM.format(part)}.pth" for part in ("lower_backbone", "lower_head"))
    stage, _ = prepare_stage("train", StageOptions(start=backbone, start_head=head))
    assert stage.start == CheckpointChoice(file=backbone, head=head)
    sweep = prepare_request(SweepOptions(dataset="digits", pretrained=backbone, pretrained_head=head))
    assert sweep.pretrained == CheckpointChoice(file=backbone, head=head)
    compared = prepared("c", ["digits"], [Start("x", pretrained=backbone)])
    assert [case.request.pretrained.file for case in compared.cases] == [backbone]
    assert [start.pretrained for start in starts_of(CompareOptions(pretrained=["s3://bucket/run=1/a.pth"]))] == [
        "s3://bucket/run=1/a.pth"
    ]


def test_a_sweep_reads_a_checkpoint_from_a_storage(published):
    request = prepare_request(SweepOptions(dataset="digits", pretrained=f"file://{published}/plain.pth"))
    read = check_pretrained(request, pretrain=False)
    assert read is not None and f"smallconv from file://{published}/plain.pth" in read.notes[0]
