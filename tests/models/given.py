"""What tests of checkpoints share: states by their names, and a backbone that a file fills."""

from pathlib import Path

import torch

from bissl_ray.models import build_backbone, load_backbone, load_checkpoint


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
