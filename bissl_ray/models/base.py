"""What every backbone offers: features of a known width, and stages that its parameters belong to."""

from collections.abc import Mapping

from torch import nn


class Backbone(nn.Module):
    """Maps normalised images (N, 3, H, W) to features (N, feature_dim); differentiable twice.

    Parameter names are the architecture's own, without a classification layer, so that a saved state
    loads wherever that architecture is known.

    Attributes:
        architecture: the name that `build_backbone` knows it by.
        feature_dim: width of the features.
        stages: names of the stages from the input on, each with its parameters, or modules that hold them; agrees with
            `bissl_ray.config.backbones`.
    """

    def __init__(self, architecture: str, feature_dim: int, stages: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.architecture = architecture
        self.feature_dim = feature_dim
        self.stages = dict(stages)

    def parameter_stages(self) -> list[str]:
        """The stage of each trainable parameter tensor, in the module's order."""
        stage_of = {part: stage for stage, parts in self.stages.items() for part in parts}
        trained = (name for name, parameter in self.named_parameters() if parameter.requires_grad)
        return [stage_of[next(part for part in _parts(name) if part in stage_of)] for name in trained]


def _parts(name: str) -> list[str]:
    """A dotted name and every module that it lies in, the innermost first."""
    words = name.split(".")
    return [".".join(words[:count]) for count in range(len(words), 0, -1)]
