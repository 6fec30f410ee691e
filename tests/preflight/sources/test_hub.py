"""Files of the Hugging Face hub and of timm: huggingface_hub fetches them, here from a server of this machine."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from bissl_ray.errors import BadInputError
from bissl_ray.preflight.sources.address import Timm
from bissl_ray.preflight.sources.of_timm import places_of
from tests.cli.command import one_line
from tests.preflight.sources.loopback import Answer, Asked, served

pytestmark = pytest.mark.slow

pytest.importorskip("huggingface_hub")
COMMIT = "a" * 40
WEIGHTS = save({"weight": torch.zeros(4)})
NO_NETWORK = "http://127.0.0.1:9"


def hub(asked: Asked, _before: int) -> Answer:
    """What the hub answers: one repository with one file, at main and at a pull request; others are closed."""
    facts = {"X-Repo-Commit": COMMIT}
    if asked.path in [f"/o/n/resolve/{revision}/model.safetensors" for revision in ("main", "refs%2Fpr%2F1", COMMIT)]:
        return Answer(WEIGHTS, headers={**facts, "X-Linked-Size": str(len(WEIGHTS)), "Accept-Ranges": "bytes"})
    if asked.path.startswith("/timm/vit_small_patch16_224.dino/resolve/main/pytorch_model.bin"):
        return Answer(b"weights", headers=facts)
    repo = asked.path.split("/resolve/")[0].lstrip("/")
    wrong = {"o/n": "EntryNotFound", "timm/vit_small_patch16_224.dino": "EntryNotFound", "o/gated": "GatedRepo"}
    wrong |= {"o/broken": ""}
    error = "RevisionNotFound" if "/resolve/v9/" in asked.path else wrong.get(repo, "RepoNotFound")
    status = {"GatedRepo": 403, "": 500}.get(error, 404)
    return Answer(status=status, headers={**facts, **({"X-Error-Code": error} if error else {})})


def get(address: str, home: Path, endpoint: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Fetch in a process of its own: huggingface_hub reads its environment when it is imported."""
    script = (
        "import sys\nfrom bissl_ray.errors import BadInputError\nfrom tests.preflight.sources.getting import get\n"
        f"try:\n    print(get({address!r}))\nexcept BadInputError as error:\n    sys.exit(str(error))"
    )
    kept = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": ":".join(sys.path)}
    environment = {**kept, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, "BISSL_RAY_CACHE": str(home), **environment}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}", "@refs%2Fpr%2F1"])
def test_a_file_is_fetched_once_and_found_again_without_the_hub(revision, tmp_path):
    address = f"hf://o/n{revision}/model.safetensors"
    with served(hub) as server:
        first = get(address, tmp_path, server.address, HF_TOKEN="hf_mine")
        again = get(address, tmp_path, server.address)
    file = Path(first.stdout.strip())
    assert file.read_bytes() == WEIGHTS and file.name == "model.safetensors" and again.stdout == first.stdout
    # The library asks the hub for other things as well.
    asked = [each for each in server.asked if "/resolve/" in each.path]
    assert [each.method for each in asked].count("GET") == 1, server.asked
    assert asked[0].headers["authorization"] == "Bearer hf_mine"
    assert one_line(first.stderr.strip()) == f"fetching {address} ({len(WEIGHTS):,} bytes)" and not again.stderr
    for offline in ({}, {"HF_HUB_OFFLINE": "1"}):
        assert get(address, tmp_path, NO_NETWORK, **offline).stdout == first.stdout


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("hf://o/n/other.pth", "o/n has no file other.pth: check the name on its page"),
        ("hf://o/n@v9/model.safetensors", "o/n has no revision v9"),
        ("hf://o/nowhere/x.pth", "there is no repository o/nowhere, or it is private: check the name, or set HF_TOKEN"),
        ("hf://o/gated/x.pth", "o/gated is open to those alone who accepted its terms"),
        ("hf://o/broken/x.pth", "the hub answers 500"),
        (f"hf://o/n/model.safetensors#sha256={'0' * 64}", "another file, or another hash, is meant"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(address, words, tmp_path):
    with served(hub) as server:
        done = get(address, tmp_path, server.address)
    said = [line for line in done.stderr.splitlines() if not line.startswith("fetching ")]
    assert len(said) == 1 and said[0].startswith(address) and words in said[0], done.stderr


def test_a_hash_may_be_given(tmp_path):
    with served(hub) as server:
        address = f"hf://o/n/model.safetensors#sha256={hashlib.sha256(WEIGHTS).hexdigest()}"
        assert get(address, tmp_path, server.address).stdout


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set: fetch it before"),
        ({}, "the hub doesn't answer, and it is not"),
    ],
)
def test_without_a_network_it_is_said_in_a_line(environment, words, tmp_path):
    done = get("hf://o/n/model.safetensors", tmp_path, NO_NETWORK, **environment)
    assert words in one_line(done.stderr.strip())


def test_without_huggingface_hub_it_is_said_how_to_install_it(monkeypatch):
    from tests.preflight.sources.getting import get as get_here

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        BadInputError, match=r'^hf://o/n/f.pth needs the huggingface_hub .*: pip install "bissl-ray\[hub\]"$'
    ):
        get_here("hf://o/n/f.pth")


def test_weights_of_timm_come_from_where_timm_has_them(tmp_path):
    pytest.importorskip("timm")
    with served(hub) as server:
        done = get("timm/vit_small_patch16_224.dino", tmp_path, server.address)
    assert Path(done.stdout.strip()).read_bytes() == b"weights", done.stderr
    (place,) = places_of(Timm("timm/legacy_seresnet18.in1k", "legacy_seresnet18.in1k"))
    assert place.shown.startswith("https://github.com/") and place.shown.endswith(".pth")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "vit_small_patch16_224.dinosaur",
            r"\(dinosaur\); of vit_small_patch16_224 there are: .*timm/vit_.*_224\.dino",
        ),
        ("resnet18", r"names no weights; of resnet18 there are: timm/resnet18\.a1_in1k, "),
        ("resnet81.a1_in1k", r"is no file here, and timm has no weights of that name; did you mean 'timm/resnet18\.a1"),
    ],
)
def test_names_that_timm_does_not_have_get_the_right_ones(name, words):
    pytest.importorskip("timm")
    with pytest.raises(BadInputError, match=words) as error:
        places_of(Timm(f"timm/{name}", name))
    assert one_line(str(error.value)).startswith(f"timm/{name} ")
