"""A sweep's storage as a finished sweep leaves it: rows, document and model files, written by the real writers."""

from pathlib import Path
from typing import Any

import torch

from bissl_ray.config import load_search_space
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.settings import Settings
from bissl_ray.store import SweepWriter
from bissl_ray.store.documents import write_document
from bissl_ray.training.files import write_tensors
from bissl_ray.training.models import Models

CLASSES = 7
PARAMETERS: dict[str, type] = {"backbone": str, "image_size": int, "upper_lr": float, "clip_norm": float}


def settings(backbone: str, image_size: int) -> Settings:
    return Settings(backbone=backbone, image_size=image_size, projector_width=8, projector_output=8)


def models(backbone: str, image_size: int, seed: int = 0) -> Models:
    """Models whose batch norm has seen something, so that its statistics matter."""
    torch.manual_seed(seed)
    built = Models.build(settings(backbone, image_size), torch.device("cpu"), "classification", CLASSES)
    with torch.no_grad():
        built.lower.train()
        built.lower(torch.randn(8, 3, image_size, image_size))
        for buffer in built.downstream.parameters():
            buffer.normal_()
    return built


def write_run(storage: Path, trial: str, built: Models, stage: str, parts: tuple[str, ...]) -> str:
    path = f"sweeps/first/checkpoints/{trial}/{stage}.pt"
    image_size = 32 if built.lower.architecture != "smallconv" else 8
    metadata = {
        "model": stage,
        "statistics": "running statistics of fine-tuning",
        "settings": settings(built.lower.architecture, image_size).model_dump(),
    }
    write_tensors(str(storage), path, built.checkpoint(parts, metadata))
    return path


def write_sweep(storage: Path, backbone: str, image_size: int) -> Models:
    """One configuration, confirmed on two seeds, and its control; returns the models of the better seed."""
    shared: dict[str, Any] = {
        "status": "complete",
        "objective_name": "validation_top1",
        "param_backbone": backbone,
        "param_image_size": image_size,
        "param_upper_lr": 0.02,
        "param_clip_norm": None,
        "git": "abc",
        "versions": '{"torch": "2"}',
    }
    best = models(backbone, image_size)
    aligned = write_run(storage, "a", best, "aligned", ("pretext", "downstream", "upper"))
    tuned = write_run(storage, "a-seed1", best, "finetuned", ("downstream",))
    rows = [
        {"trial": "a", "phase": "explore", "step": "search", "objective": 0.6, "checkpoint": aligned},
        {"trial": "k", "phase": "control", "step": "tuning", "objective": 0.5},
    ]
    for seed, objective, path in ((0, 0.70, None), (1, 0.75, tuned)):
        confirmed = {"step": "seeds", "seed": seed, "objective": objective, "test_metric": objective - 0.02}
        rows.append({"trial": f"a-seed{seed}", "parent": "a", "phase": "confirm", "checkpoint": path, **confirmed})
        rows.append({"trial": f"k-seed{seed}", "parent": "k", "phase": "control", **confirmed, "objective": 0.65})
    with SweepWriter(storage, "digits", "first", PARAMETERS) as writer:
        for row in rows:
            writer.trial({**shared, **row})
    request = SweepRequest(name="first", data=DataChoice("digits"), space=load_search_space("digits"))
    sizes = {"pretext": 5, "train": 5, "validation": 2, "test": 3, "classes": CLASSES}
    write_document(storage, "first", SweepDocument(request=request, fingerprint="f00d", data=sizes))
    return best
