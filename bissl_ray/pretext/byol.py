"""BYOL: predict one view's target embedding from the other view (Grill et al. 2020, equations 1 and 2)."""

import math
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from bissl_ray.config.settings import TargetSchedule
from bissl_ray.models import Backbone
from bissl_ray.parallel import BatchNormMode, Group, convert_batch_norm
from bissl_ray.pretext.base import PretextTask, Views
from bissl_ray.pretext.heads import projection_head, unit_rows


class BYOL(PretextTask):
    """An online network follows a target network, which is its exponential moving average.

    Each view passes through on its own, as in the paper, so batch statistics are per view. Images
    are not compared with each other, hence nothing is gathered: workers meet in synchronised batch
    statistics only.

    The target normalises by batch statistics too, as in the original. Its parameters get no
    gradient; its running statistics are its own, moved by its own forwards, and held still like
    every other module's when a curvature graph is built under `frozen_statistics(backbone, task)`.

    Args:
        backbone: the online backbone; the target starts as its copy.
        projector_width: width of the hidden layers of projector and predictor.
        projector_output: width of the embeddings.
        target_momentum: how much of the target stays at each update.
        batch_norm: "synchronised" or "per_worker", for the head.
        target_schedule: "constant", or "cosine" from target_momentum to 1 over the run, where the target stands
            still (Grill et al. 2020, section 3.2).
    """

    def __init__(
        self,
        backbone: Backbone,
        projector_width: int,
        projector_output: int,
        target_momentum: float,
        batch_norm: BatchNormMode,
        target_schedule: TargetSchedule = "constant",
    ) -> None:
        super().__init__()
        self.target_momentum = target_momentum
        self.target_schedule = target_schedule
        self.projector = projection_head(backbone.feature_dim, projector_width, projector_output)
        self.predictor = projection_head(projector_output, projector_width, projector_output)
        convert_batch_norm(self.projector, batch_norm)
        convert_batch_norm(self.predictor, batch_norm)
        self.target_backbone = deepcopy(backbone).requires_grad_(False)
        self.target_projector = deepcopy(self.projector).requires_grad_(False)

    def outputs(self, backbone: nn.Module, views: Views, group: Group = None) -> tuple[Tensor, Tensor]:
        """Unit predictions of both views (2n, d), and the unit target embeddings of the other view each."""
        predictions = [self.predictor(self.projector(backbone(view))) for view in views]
        with torch.no_grad():
            targets = [self.target_projector(self.target_backbone(view)) for view in views]
        return unit_rows(torch.cat(predictions)), unit_rows(torch.cat(targets[::-1]))

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Squared distances (2 - 2 cos), both directions of an image together, mean over this worker's images."""
        return 2 * (outputs - targets).square().sum(1).mean()

    def momentum(self, progress: float) -> float:
        """m at a share of the run's steps, from 0 to 1."""
        if self.target_schedule == "constant":
            return self.target_momentum
        return 1 - (1 - self.target_momentum) * (1 + math.cos(math.pi * progress)) / 2

    def after_step(self, backbone: nn.Module, progress: float) -> None:
        """Move the target towards the online network: ξ ← m ξ + (1 - m) θ, parameters only."""
        target = [*self.target_backbone.parameters(), *self.target_projector.parameters()]
        online = [*backbone.parameters(), *self.projector.parameters()]
        update = get_ema_multi_avg_fn(self.momentum(progress))  # type: ignore[no-untyped-call]
        update(target, online, None)

    def reset_target(self, backbone: nn.Module) -> None:
        """Make the target an exact copy of the online network, running statistics included."""
        self.target_backbone.load_state_dict(backbone.state_dict())
        self.target_projector.load_state_dict(self.projector.state_dict())
