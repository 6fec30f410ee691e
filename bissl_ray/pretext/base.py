"""The protocol of a pretext task: a self-supervised loss and the head it needs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from bissl_ray.errors import BadInputError
from bissl_ray.parallel import Group

Views = tuple[Tensor, Tensor]


class PretextTask(nn.Module, ABC):
    """A self-supervised objective L_P with its head φ_P; the backbone θ is handed to it, not owned.

    Every worker calls with an equal number of images, since collectives run inside. Each returns the
    mean over its own images; the mean of these over workers is the loss on the global batch.

    The loss is a criterion of some outputs. Where it is cut decides what the Gauss-Newton matrix leaves out (the
    curvature of the outputs), and keeps positive semi-definite (the criterion must be convex in the outputs): a
    contrastive loss is cut at its similarities, a regression at its predictions, a loss of statistics (variances,
    correlations) at these statistics.
    """

    @abstractmethod
    def outputs(self, backbone: nn.Module, views: Views, group: Group = None) -> tuple[Tensor, Tensor]:
        """What this worker's share of the loss is a criterion of.

        Args:
            backbone: maps images (n, 3, H, W) to features (n, feature_dim).
            views: two augmentations of the same n images, each (n, 3, H, W).
            group: the workers that share the global batch.

        Returns:
            The outputs, differentiable twice, in float32 at least; and the targets that they are judged by,
            without graph. Each of any shape.
        """

    @abstractmethod
    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """This worker's share of the loss, a scalar that is convex in the outputs and differentiable twice."""

    def loss(self, backbone: nn.Module, views: Views, group: Group = None) -> Tensor:
        """This worker's share of the loss, a scalar that is differentiable twice; arguments as of `outputs`."""
        return self.criterion(*self.outputs(backbone, views, group))

    @abstractmethod
    def embeddings(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """What the projector makes of images (n, 3, H, W): the embeddings (n, d) whose spread tells of collapse."""

    @abstractmethod
    def head_parameters(self) -> list[nn.Parameter]:
        """The trainable parameters φ_P, in a fixed order."""

    def after_step(self, backbone: nn.Module) -> None:
        """Called after each optimizer step on the backbone and the head."""

    def reset_target(self, backbone: nn.Module) -> None:
        """Called when the backbone or the head was replaced, not stepped."""

    def load_head(self, state: Mapping[str, Tensor], backbone: nn.Module, source: str) -> None:
        """Copy saved weights in: a whole state of this task, or its trainable head alone.

        From a head alone (the published files have only projector.* and predictor.*), what else the
        task keeps is set from the backbone, which therefore must have its own weights already.

        Args:
            state: tensors by name, as `load_checkpoint(...).pretext` returns them.
            backbone: the lower-level backbone.
            source: where the state came from, for the error line.

        Raises:
            BadInputError: a tensor of the head is missing, of another shape, or not known.
        """
        expected = self.state_dict()
        trainable = {name.split(".")[0] for name, parameter in self.named_parameters() if parameter.requires_grad}
        head = {key for key in expected if key.split(".")[0] in trainable}
        wrong = [key for key in sorted(head | state.keys()) if not _fits(expected.get(key), state.get(key))]
        whole = expected.keys() <= state.keys()
        if wrong or not (whole or state.keys() == head):
            example = wrong[0] if wrong else min(expected.keys() - state.keys())
            raise BadInputError(
                f"{source} does not fit the head of {type(self).__name__}: "
                f"{_describe(example, expected, state)}; check pretext, projector_width and "
                "projector_output, or start without this head"
            )
        self.load_state_dict({**expected, **state})
        if not whole:
            self.reset_target(backbone)


def _fits(expected: Tensor | None, found: Tensor | None) -> bool:
    return expected is not None and found is not None and expected.shape == found.shape


def _describe(key: str, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    if key not in found:
        return f"{key} is missing"
    if key not in expected:
        return f"{key} is not part of it"
    return f"{key} is {tuple(found[key].shape)}, expected {tuple(expected[key].shape)}"
