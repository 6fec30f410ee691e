"""Addresses are told from paths, keep what they are on their way, and lose their secrets at the door."""

import shlex
import sys

import pytest

from bissl_ray.addresses import without_secrets
from bissl_ray.compare.starts import Start, starts_of
from bissl_ray.config.options import CompareOptions, StageOptions, SweepOptions
from bissl_ray.config.requests import CheckpointChoice
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.sources.address import Hub, Timm, Web, named, parsed
from bissl_ray.stages.prepare import prepare_stage
from bissl_ray.store.documents import provenance
from bissl_ray.sweep.run import prepare_request
from tests.compare.asking import prepared

HASH = "ab" * 32
SECRET = "https://me:hunter2@host.example/run=1/x.pth?X-Signature=hunter3"
ADDRESSES = (
    f"https://host.example:8443/a/x.pth#sha256={HASH}",
    "http://127.0.0.1/x.pt?download=1",
    "hf://owner/name@v1.0/folder/model.safetensors",
    "timm/vit_small_patch16_224.dino",
)


@pytest.mark.parametrize(
    ("text", "kind", "facts"),
    [
        (ADDRESSES[0], Web, {"sha256": HASH, "url": "https://host.example:8443/a/x.pth", "file_name": "x.pth"}),
        ("https://h/x/m.safetensors/content", Web, {"file_name": "m.safetensors"}),
        ("https://h/x?a=/../../y.pth", Web, {"file_name": "x"}),
        ("https://h/..%2F..%2F.a%20b.pth", Web, {"file_name": "a-b.pth"}),
        ("https://huggingface.co/o/n/blob/main/d/f.pt", Web, {"url": "https://huggingface.co/o/n/resolve/main/d/f.pt"}),
        (ADDRESSES[2], Hub, {"repo": "owner/name", "revision": "v1.0", "file": "folder/model.safetensors"}),
        ("hf://o/n/f@1.pth", Hub, {"repo": "o/n", "revision": None, "file": "f@1.pth"}),
        ("hf://o/n@refs%2Fpr%2F1/f.pth", Hub, {"revision": "refs/pr/1"}),
        (ADDRESSES[3], Timm, {"name": "vit_small_patch16_224.dino"}),
    ],
)
def test_what_an_address_is(text, kind, facts):
    found = parsed(text)
    assert isinstance(found, kind)
    assert {name: getattr(found, name) for name in facts} == facts
    assert named(found.shown) == found.shown


@pytest.mark.parametrize("text", ["x.pth", "/a/x.pth", "s3://bucket/x.pth", "file:///x.pth", "https.pth"])
def test_other_names_are_paths_and_storages(text):
    assert parsed(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://", "expected https://HOST/FILE"),
        ("https://host.example", "expected https://HOST/FILE"),
        ("https://host:port/x.pth", "a host or a port that can't be"),
        ("https://h/x.pth#sha256=12", "'sha256=12' behind its '#'; expected nothing, or sha256="),
        ("hf://name/x.pth", "expected hf://OWNER/NAME/FILE"),
        ("hf://o/n@v1", "expected hf://OWNER/NAME/FILE"),
    ],
)
def test_an_address_that_can_not_be_is_refused(text, words):
    with pytest.raises(BadInputError, match=words):
        named(text)


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_verb_keeps_the_address(address):
    choice = CheckpointChoice(file=address, head=address)
    assert (
        prepare_request(SweepOptions(dataset="digits", pretrained=address, pretrained_head=address)).pretrained
        == choice
    )
    stage, _ = prepare_stage("train", StageOptions(start=address, start_head=address, space="digits"))
    assert stage.start == choice
    compared = prepared("c", ["digits"], [Start("x", pretrained=address, head=address)])
    assert [case.request.pretrained for case in compared.cases] == [choice]


@pytest.mark.parametrize(
    ("text", "label"), list(zip(ADDRESSES, ("x", "x", "name", "vit_small_patch16_224.dino"), strict=True))
)
def test_a_comparison_calls_it_by_its_name(text, label):
    assert [start.label for start in starts_of(CompareOptions(pretrained=[text, f"own={text}"]))] == [label, "own"]


def test_a_local_file_wins_over_timms_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named("timm/x.y") == "timm/x.y"
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "x.y").touch()
    assert named("timm/x.y") == f"{tmp_path}/timm/x.y"


def test_secrets_are_in_no_request_no_label_and_no_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bissl-ray", "sweep", "--pretrained", SECRET, f"--pretrained-head={SECRET}"])
    request = prepare_request(SweepOptions(dataset="digits", pretrained=SECRET))
    start = starts_of(CompareOptions(pretrained=[SECRET]))[0]
    command = provenance()["command"]
    for text in (request.model_dump_json(), start.label, command):
        assert "hunter" not in text
    *_, word, _ = shlex.split(command)
    assert request.pretrained.file == word == without_secrets(SECRET)
    assert parsed(word).url == SECRET
    with pytest.raises(BadInputError) as error:
        starts_of(CompareOptions(pretrained_head=SECRET))
    assert "hunter" not in str(error.value)
