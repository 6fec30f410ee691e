"""A checkpoint from elsewhere is read as one of this machine, by every verb."""

import pytest
import torch

from bissl_ray.config.requests import CheckpointChoice
from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone
from bissl_ray.preflight.checkpoints import read_checkpoint
from tests.cli.command import checkpoint, one_line, run, run_here
from tests.preflight.sources.loopback import Answer, served

pytestmark = pytest.mark.slow


def test_it_is_read_with_a_head_and_says_where_it_is_kept(tmp_path, cache):
    torch.save(build_backbone("smallconv").state_dict(), tmp_path / "b.pth")
    torch.save({"projector.0.weight": torch.ones(4, 64)}, tmp_path / "h.pth")
    with served(lambda asked, _: Answer((tmp_path / asked.path[1:]).read_bytes())) as server:
        choice = CheckpointChoice(file=f"{server.address}/b.pth", head=f"{server.address}/h.pth")
        for _ in range(2):
            read = read_checkpoint(choice)
    assert read.pretext.keys() == {"projector.0.weight"} and len(server.asked) == 2
    assert f"{server.address}/b.pth is kept at {cache}/checkpoints/" in read.notes[-2]
    assert read.notes[-2].endswith("/b.pth: delete that to fetch it anew")


def test_what_is_wrong_with_it_is_said_of_its_address_and_its_copy(cache):
    with served(Answer(b"no tensors")) as server, pytest.raises(BadInputError) as error:
        read_checkpoint(CheckpointChoice(file=f"{server.address}/x.pth"))
    said = one_line(str(error.value))
    assert said.startswith(f"in {server.address}/x.pth: x.pth is not a readable torch file")
    assert said.endswith("/x.pth: delete that to fetch it anew)") and str(cache) in said


def test_a_sweep_starts_from_an_address(tmp_path, cache):
    weights = checkpoint(tmp_path).read_bytes()
    with served(Answer(weights)) as server:
        address = f"{server.address}/file.pth"
        asked = ("sweep", "--dry-run", "--dataset", "digits", "--pretrained", f"{address}?token=hunter2")
        done = run(*asked, cwd=tmp_path, BISSL_RAY_CACHE=str(cache))
    assert done.code == 0, done.err
    assert f"smallconv from {address}?hidden=" in done.out and "hunter" not in done.out + done.err
    assert one_line(done.err.strip()).startswith(f"fetching {address}?hidden=")


@pytest.mark.parametrize(
    "command",
    [
        ("sweep", "--dry-run", "--dataset", "digits", "--pretrained"),
        ("train", "--dry-run", "--dataset", "digits", "--start"),
        ("evaluate", "--dry-run", "--dataset", "digits", "--start"),
        ("compare", "--dry-run", "--dataset", "digits", "--pretrained"),
        ("bench", "hypergradient", "--backbone", "smallconv", "--size", "8", "--pretrained"),
    ],
    ids=lambda command: command[0],
)
def test_every_verb_says_in_a_line_that_it_is_not_there(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with served(Answer(status=404)) as server:
        done = run_here(monkeypatch, capsys, *command, f"{server.address}/x.pth")
    said = done.err.splitlines()
    assert done.code == 2 and said[0].startswith("fetching ") and len(said) == 2, done.err
    assert said[1] == f"bissl-ray: {server.address}/x.pth is not there (404 not found): check the address"
