"""Stanford Cars in its real layout, tiny: real .mat files and JPEGs, a checkpoint with torchvision's keys."""

from pathlib import Path

import pytest
import torch

from bissl_ray.store import read_trials, to_rows
from tests.cli.command import run, tiny_space
from tests.data.tiny.cars import write_tiny_cars

pytestmark = pytest.mark.ray


def test_cars_from_a_published_checkpoint(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    write_tiny_cars(tmp_path / "data", classes=3, train_per_class=8)
    torch.manual_seed(0)
    torch.save(resnet18().state_dict(), tmp_path / "ssl.pth")
    space = tiny_space(
        tmp_path,
        dataset="cars",
        fixed={
            "backbone": "resnet18",
            "image_size": 32,
            "pretext": "byol",
            "alternations": 1,
            "lower_batch": 8,
            "upper_batch": 8,
            "finetune_epochs": 1,
            "finetune_batch": 8,
            "loader_processes": 1,
        },
        protocol={"trials": 2, "finalists": 1, "finetune_runs": 1, "finetune_seeds": 2},
    )
    done = run(
        *("sweep", "--dataset", "cars", "--space", space, "--data-dir", "data", "--pretrained", "ssl.pth"),
        *("--name", "cars-tiny"),
        cwd=tmp_path,
    )
    assert done.code == 0, done
    assert "no pretext head" in done.out
    rows = to_rows(read_trials(tmp_path / "runs", "cars"))
    assert len(rows) == 2 + 4 + 4 and {row["status"] for row in rows} == {"complete"}
    # Two runs of the one point, on seeds that confirm nothing.
    tuned = {(row["phase"], row["seed"]) for row in rows if row["step"] == "tuning"}
    assert tuned == {(phase, seed) for phase in ("confirm", "control") for seed in (0, 2_000_000)}
    assert not {row["seed"] for row in rows if row["step"] == "seeds"} & {seed for _, seed in tuned}
    assert all(0 <= row["test_metric"] <= 1 for row in rows if row["step"] == "seeds")
    aligned = torch.load(tmp_path / "runs/sweeps/cars-tiny/checkpoints/t000/aligned.pt", weights_only=True)
    assert {"conv1.weight", "layer4.1.bn2.running_var"} <= aligned["backbone"].keys()
    resnet18(num_classes=1000).load_state_dict(aligned["backbone"], strict=False)
