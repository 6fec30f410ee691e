"""What every backbone offers: features of a known width, and stages that its parameters belong to."""

from collections.abc import Mapping

from torch import nn


class Backbone(nn.Module):
    """Maps normalised images (N, 3, H, W) to features (N, feature_dim).

    Parameter names are the architecture's own, without a classification layer, so that a saved state
    loads wherever that architecture is known.

    Attributes:
        architecture: the name that `build_backbone` knows it by.
        feature_dim: width of the features.
        stages: names of the stages from the input on, each with the direct children that it consists of; agrees with
            `bissl_ray.config.stages`.
    """

    def __init__(self, architecture: str, feature_dim: int, stages: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.architecture = architecture
        self.feature_dim = feature_dim
        self.stages = dict(stages)

    def parameter_stages(self) -> list[str]:
        """The stage of each trainable parameter tensor, in the module's order."""
        stage_of = {child: stage for stage, children in self.stages.items() for child in children}
        trained = [name for name, parameter in self.named_parameters() if parameter.requires_grad]
        return [stage_of[name.split(".")[0]] for name in trained]
