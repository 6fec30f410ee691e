"""The four modules of a trial, and how they go in and out of a file."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bissl_ray.config.settings import Settings
from bissl_ray.downstream import DownstreamTask, downstream_task
from bissl_ray.errors import BadInputError
from bissl_ray.models import Backbone, build_backbone, checkpoint_content
from bissl_ray.pretext import PretextTask, build_pretext


@dataclass(frozen=True)
class Models:
    """Both levels of one trial.

    Attributes:
        lower: backbone θ.
        pretext: pretext task with its head φ_P.
        upper: backbone θ_D.
        task: downstream task with its head φ_D; None where only the pretext side is needed.
    """

    lower: Backbone
    pretext: PretextTask
    upper: Backbone
    task: DownstreamTask | None = None

    @classmethod
    def build(
        cls, settings: Settings, device: torch.device, task: str | None = None, classes: int | None = None
    ) -> "Models":
        """Fresh models, drawn from torch's global generator; alike on all workers under the same seed.

        Args:
            settings: of the trial.
            device: where they shall live.
            task: the downstream task, as of `downstream_task`; None: none is built.
            classes: of the dataset, where it has any.

        Raises:
            BadInputError: there is no such task, or it can't be built for so many classes.
        """
        lower = build_backbone(settings.backbone, settings.batch_norm, settings.image_size)
        pretext = build_pretext(settings, lower)
        upper = build_backbone(settings.backbone, settings.batch_norm, settings.image_size)
        downstream = None if task is None else downstream_task(task).build(upper, classes, settings).to(device)
        return cls(lower.to(device), pretext.to(device), upper.to(device), downstream)

    @property
    def downstream(self) -> DownstreamTask:
        """The downstream task, of models that were built with one."""
        assert self.task is not None, "these models have no downstream task"
        return self.task

    def start_from(self, content: dict[str, Any], source: str) -> None:
        """Set both backbones, and the heads as far as the file has them.

        Args:
            content: "backbone" (θ), and where known "pretext" (φ_P), "upper" (θ_D), "downstream" (φ_D).
            source: the file's name, for error lines.
        """
        self.lower.load_state_dict(content["backbone"])
        self.upper.load_state_dict(content.get("upper") or content["backbone"])
        if content.get("pretext"):
            self.pretext.load_head(content["pretext"], self.lower, source)
        else:
            self.pretext.reset_target(self.lower)
        if content.get("downstream"):
            self.downstream.load_state_dict(content["downstream"])

    def take_pretext_head(self, state: Mapping[str, Tensor], source: str, may_differ: bool) -> str | None:
        """Set the pretext head from a file, after the lower backbone.

        Args:
            state: tensors by name, as `load_checkpoint(...).pretext` returns them.
            source: the file, for error lines.
            may_differ: leave a head out that doesn't fit, rather than refuse it.

        Returns:
            Why it was left out; None where it was taken.

        Raises:
            BadInputError: it doesn't fit, and has to.
        """
        try:
            self.pretext.load_head(state, self.lower, source)
        except BadInputError as error:
            if not may_differ:
                raise BadInputError(f"{error}; --allow-partial leaves it out") from None
            return f"the pretext head is left out, and the lower level begins with a fresh one: {error}"
        return None

    def backbone_of(self, content: Mapping[str, Any]) -> Backbone:
        """A backbone of its own with a file's "backbone" (θ); nothing here changes, and nothing random is drawn."""
        backbone = copy.deepcopy(self.lower)
        backbone.load_state_dict(content["backbone"])
        return backbone

    def content(self) -> dict[str, dict[str, Tensor]]:
        """Everything, as `start_from` takes it; keys of the backbones as in torchvision."""
        return {
            "backbone": _on_cpu(self.lower),
            "pretext": _on_cpu(self.pretext),
            "upper": _on_cpu(self.upper),
            **({} if self.task is None else {"downstream": _on_cpu(self.task)}),
        }

    def checkpoint(self, parts: tuple[str, ...], metadata: Mapping[str, Any]) -> dict[str, Any]:
        """A checkpoint file's content, as `load_checkpoint` and `start_from` take it.

        Args:
            parts: what it holds beside the backbone, θ, of "pretext", "downstream" and "upper".
            metadata: plain values.
        """
        content = self.content()
        pretext = content["pretext"] if "pretext" in parts else None
        file = checkpoint_content(content["backbone"], pretext, {"backbone": self.lower.architecture, **metadata})
        return {**file, **{part: content[part] for part in parts if part not in file}}


def check_upper(settings: Settings, content: Mapping[str, Any], source: str) -> None:
    """Make sure that fine-tuning which is to begin at θ_D finds it (raises BadInputError).

    A file that holds no θ_D is not refused: where nothing was aligned, θ stands for both.

    Args:
        settings: of the trial.
        content: "metadata" of the file that it starts from, and "upper" where it has that.
        source: the file, for the error line.
    """
    aligned = (content.get("metadata") or {}).get("model") == "aligned"
    if settings.finetune_from == "upper" and aligned and not content.get("upper"):
        raise BadInputError(
            f"finetune_from is upper, and {source} holds the lower backbone alone: a release wrote it that kept no "
            "other; align again, or set finetune_from to lower"
        )


def _on_cpu(module: nn.Module) -> dict[str, Tensor]:
    # detach() shares memory on the CPU; the file is written before anything changes it.
    return {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
