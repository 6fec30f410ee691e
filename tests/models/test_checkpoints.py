import os
import pickle
from importlib.util import find_spec

import pytest
import torch

from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone, checkpoint_content, load_backbone, load_checkpoint


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return build_backbone("smallconv")


def save_checkpoint(path, *content):
    torch.save(checkpoint_content(*content), path)


def one_line(error):
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_checkpoint_comes_back_bit_equal(tmp_path, backbone):
    path = tmp_path / "trial.pt"
    head = {"projector.0.weight": torch.randn(4, 3).T}
    metadata = {
        "backbone": "smallconv",
        "alternation": 0,
        "scores": [0.5, None],
        "settings": {"lower_lr": 1e-3},
    }
    save_checkpoint(path, backbone.state_dict(), head, metadata)
    loaded = load_checkpoint(path)
    assert loaded.metadata == metadata
    assert torch.equal(loaded.pretext["projector.0.weight"], head["projector.0.weight"])
    other = build_backbone("smallconv")
    load_backbone(other, loaded.backbone, str(path))
    assert all(torch.equal(tensor, other.state_dict()[key]) for key, tensor in backbone.state_dict().items())


def test_a_view_is_saved_without_the_storage_behind_it(tmp_path):
    save_checkpoint(tmp_path / "view.pt", {"a": torch.zeros(1_000_000)[:10]}, None, {})
    assert (tmp_path / "view.pt").stat().st_size < 10_000


def test_metadata_that_could_not_be_read_back_are_refused(tmp_path, backbone):
    path = tmp_path / "trial.pt"
    save_checkpoint(path, backbone.state_dict(), None, {"alternation": 1})
    with pytest.raises(TypeError, match=r"metadata\['where'\] is a PosixPath"):
        save_checkpoint(path, backbone.state_dict(), None, {"where": path})
    assert load_checkpoint(path).metadata == {"alternation": 1}
    assert load_checkpoint(path).pretext is None


def write_torch(state, path):
    torch.save(state, path)


def write_safetensors(state, path):
    from safetensors.torch import save_file

    save_file(state, path)


needs_safetensors = pytest.mark.skipif(find_spec("safetensors") is None, reason="safetensors is an extra")


@pytest.mark.parametrize(
    ("name", "dress", "write"),
    [
        ("bare.pth", lambda state: state, write_torch),
        ("nested.pth", lambda state: {"epoch": 3, "state_dict": state}, write_torch),
        (
            "model.pt",
            lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
            write_torch,
        ),
        (
            "ddp.pt",
            lambda state: {f"module.backbone.{key}": value for key, value in state.items()},
            write_torch,
        ),
        pytest.param("plain.safetensors", lambda state: state, write_safetensors, marks=needs_safetensors),
    ],
)
def test_foreign_files_load(tmp_path, backbone, name, dress, write):
    state = {key: value for key, value in backbone.state_dict().items() if "num_batches" not in key}
    with_heads = {
        **state,
        "fc.weight": torch.ones(5, 64),
        "fc.bias": torch.ones(5),
        "projector.0.weight": torch.ones(2),
    }
    write(dress(with_heads), tmp_path / name)
    loaded = load_checkpoint(tmp_path / name)
    assert loaded.pretext.keys() == {"projector.0.weight"}
    other = build_backbone("smallconv")
    load_backbone(other, loaded.backbone, name)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in state.items())


def test_another_architecture_is_recognised(tmp_path, backbone):
    torch.save(build_backbone("resnet18").state_dict(), tmp_path / "r18.pth")
    state = load_checkpoint(tmp_path / "r18.pth").backbone
    with torch.device("meta"):
        expected = build_backbone("resnet50")
    with pytest.raises(BadInputError) as error:
        load_backbone(expected, state, "r18.pth")
    message = one_line(error)
    assert "r18.pth does not fit the backbone resnet50" in message
    assert "it looks like resnet18: set backbone to resnet18" in message
    assert "layer1.0.conv1.weight (64, 64, 3, 3) instead of (64, 64, 1, 1)" in message
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(BadInputError, match=r"0 of its 20 tensors match, 20 missing \(stem.0.weight, .*, \.\.\.\)"):
        load_backbone(backbone, state, "r18.pth")
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("zipped", [True, False])
def test_what_a_pickle_would_run_is_not_run(tmp_path, zipped):
    content = {"state_dict": {"w": torch.ones(1)}, "extra": Payload(str(tmp_path / "ran"))}
    torch.save(content, tmp_path / "evil.pt", _use_new_zipfile_serialization=zipped)
    loaded = load_checkpoint(tmp_path / "evil.pt")
    assert loaded.backbone == {"w": torch.ones(1)}
    assert loaded.notes == ("left unread, and nothing of it was run: pickled posix.mkdir",)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.pt", lambda whole: b"", "is empty"),
        ("cut.pt", lambda whole: whole[: len(whole) // 2], "is cut short: its end"),
        ("words.pth", lambda whole: b"not a checkpoint at all", "not a readable torch file"),
        ("plain.pkl", lambda whole: pickle.dumps({"w": print}), "was not written by torch.save"),
        pytest.param(
            "cut.safetensors",
            lambda whole: b"\x40\0\0\0\0\0\0\0{",
            "not a readable safetensors file",
            marks=needs_safetensors,
        ),
    ],
)
def test_a_damaged_file_is_named(tmp_path, backbone, name, content, said):
    save_checkpoint(tmp_path / "whole.pt", backbone.state_dict(), None, {})
    (tmp_path / name).write_bytes(content((tmp_path / "whole.pt").read_bytes()))
    with pytest.raises(BadInputError, match=said) as error:
        load_checkpoint(tmp_path / name)
    assert name in one_line(error)


def test_a_missing_file_and_a_file_without_a_state_dict_are_named(tmp_path):
    with pytest.raises(BadInputError, match=r"no checkpoint file at .*nowhere\.pt"):
        load_checkpoint(tmp_path / "nowhere.pt")
    torch.save({0: torch.ones(1)}, tmp_path / "unnamed.pt")
    with pytest.raises(BadInputError, match=r"holds a dict with keys 0; expected tensors by name"):
        load_checkpoint(tmp_path / "unnamed.pt")
    torch.save({"epoch": 3, "loss": 0.5}, tmp_path / "numbers.pt")
    with pytest.raises(BadInputError, match=r"holds a dict with keys epoch, loss; expected tensors by name"):
        load_checkpoint(tmp_path / "numbers.pt")


@pytest.mark.parametrize("dress", [lambda state: checkpoint_content(state, None, {}), lambda state: state])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_a_training_that_diverged_are_refused_by_name(tmp_path, backbone, dress, value):
    state = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    state["stem.0.weight"][0, 0, 0, 0] = value
    torch.save(dress(state), tmp_path / "diverged.pt")
    with pytest.raises(BadInputError, match=r"NaN or infinity in 1 of its 20 tensors of numbers \(stem.0.weight\)"):
        load_checkpoint(tmp_path / "diverged.pt")


def test_a_head_that_diverged_is_refused(tmp_path, backbone):
    save_checkpoint(tmp_path / "whole.pt", backbone.state_dict(), {"projector.0.weight": torch.tensor([torch.nan])}, {})
    torch.save({"projector.0.weight": torch.tensor([torch.inf])}, tmp_path / "head.pth")
    torch.save(backbone.state_dict(), tmp_path / "bare.pth")
    for file, head in (("whole.pt", None), ("bare.pth", tmp_path / "head.pth")):
        with pytest.raises(BadInputError, match=r"in 1 of its 1 tensors of numbers \(projector.0.weight\)"):
            load_checkpoint(tmp_path / file, head)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backbone": None}, "no intact backbone"),
        ({"backbone": {"stem.0.weight": 3}, "metadata": None}, "no intact backbone and metadata"),
        ({"pretext": [1]}, "no intact pretext"),
        ({"downstream": {"head.weight": "gone"}}, "no intact downstream"),
    ],
)
def test_a_file_of_ours_with_parts_missing_is_refused(tmp_path, backbone, change, said):
    content = {**checkpoint_content(backbone.state_dict(), None, {}), **change}
    torch.save({name: part for name, part in content.items() if part is not None}, tmp_path / "part.pt")
    with pytest.raises(BadInputError) as error:
        load_checkpoint(tmp_path / "part.pt")
    assert f"part.pt says that it is a checkpoint of bissl-ray, but has {said}: " in one_line(error)
