"""The protocol of a pretext task: a self-supervised loss and the head it needs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, Self

import torch
from torch import Tensor, nn

from bissl_ray.config.settings import Settings
from bissl_ray.data.nested import stacked
from bissl_ray.data.spec import DatasetSpec
from bissl_ray.data.transforms import pretext_transform
from bissl_ray.errors import BadInputError
from bissl_ray.models import Backbone
from bissl_ray.models.odd_tensors import shape_of
from bissl_ray.parallel import Group
from bissl_ray.pretext.heads import on_sphere

Views = tuple[Tensor, Tensor]
"""Two augmentations of the same n images, each (n, 3, S, S)."""


class PretextTask(nn.Module, ABC):
    """A self-supervised objective L_P with its head φ_P; the backbone θ is handed to it, not owned.

    Every worker calls with an equal number of images, since collectives run inside. Each returns the mean over its own
    images, or what is computed from all workers'; the mean of these over workers is the loss on the global batch.

    The loss is a criterion of some outputs. Where it is cut decides what the Gauss-Newton matrix leaves out (the
    curvature of the outputs), and keeps positive semi-definite (the criterion must be convex in the outputs): a
    contrastive loss is cut at its similarities, a regression at its predictions, a loss of statistics (deviations,
    correlations) at these statistics.

    H, the Hessian, is taken with the targets held fixed, as every step's gradient is: what they owe to θ is left out.

    Attributes:
        projector: maps features (n, feature_dim) to embeddings (n, d); a task sets it up.
    """

    projector: nn.Module

    @classmethod
    def from_settings(cls, settings: Settings, backbone: Backbone) -> Self:
        """The task of a trial, with a fresh head that is drawn from torch's global generator.

        A task's constructor names what it reads: settings, the backbone, and the width `feature_dim` of its features;
        whatever else it takes needs a default.

        Args:
            settings: of the trial; those that the constructor doesn't name are ignored.
            backbone: the lower-level backbone.
        """
        known = {**dict(settings), "backbone": backbone, "feature_dim": backbone.feature_dim}
        return cls(**{name: known[name] for name in signature(cls).parameters if name in known})

    @classmethod
    def views(cls, spec: DatasetSpec, image_size: int) -> Callable[[Any], Any]:
        """What makes a sample of an unlabelled image: here two augmented views, each (3, S, S).

        Args:
            spec: the facts about the images' dataset.
            image_size: side S of the views, pixels.

        Returns:
            A function of a PIL RGB image or a uint8 tensor (3, H, W) of any size. Picklable: loader processes call it;
            its random numbers come from torch's default CPU generator, which the loaders seed for each image. One that
            has a method `in_steps` (`data.transforms.InSteps`) is carried out in two steps, unless `collate` is a
            task's own.
        """
        return pretext_transform(spec, image_size)

    @classmethod
    def collate(cls, samples: Sequence[Any]) -> Any:
        """Make a batch of samples, at least one, here `Views`. Only this class looks into one; loaders, trainer and
        diagnosis pass it on.
        """
        return stacked(samples)

    @classmethod
    def cut(cls, batch: Any, images: int, parts: int) -> list[Any]:
        """The first so many images of a batch, in equal parts: what the curvature is taken on.

        Args:
            batch: as `collate` makes it.
            images: at most as many as the batch has, a multiple of `parts`.
            parts: how many batches to make of them.
        """
        return list(zip(*(view[:images].chunk(parts) for view in batch), strict=True))

    @classmethod
    def blank(cls, images: int, image_size: int) -> Any:
        """A batch of which only the shapes matter: the memory of the curvature is estimated on it."""
        return tuple(torch.empty(images, 3, image_size, image_size) for _ in range(2))

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

    def features(self, backbone: nn.Module, batch: Any) -> Tensor:
        """What the backbone makes of everything in a batch: its running statistics are taken afresh from that.

        Here of both views, (2n, feature_dim): the first alone is always blurred on photographs.
        """
        features: Tensor = backbone(torch.cat(batch))
        return features

    def embeddings(self, backbone: nn.Module, batch: Any) -> Tensor:
        """What the projector makes of each image once: the embeddings (n, d) whose spread tells of collapse."""
        embeddings: Tensor = self.projector(backbone(batch[0]))
        return embeddings

    def compared(self, embeddings: Tensor) -> Tensor:
        """Embeddings in the form in which the loss compares them: the spread of these tells of collapse.

        Here their directions; a task whose loss reads something else of them overrides it.

        Args:
            embeddings: (N, d), of the global batch.

        Returns:
            (N, d), in units in which an even spread deviates by 1 in each dimension.
        """
        return on_sphere(embeddings)

    def head_parameters(self) -> list[nn.Parameter]:
        """The trainable parameters φ_P, in the module's order."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def after_step(self, backbone: nn.Module, progress: float) -> None:
        """Called after each optimizer step on the backbone and the head.

        Args:
            backbone: the lower-level backbone, stepped.
            progress: share of the run's steps that came before this one, in [0, 1): a function of the step alone, so
                that nothing needs to be counted or saved here.
        """

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
    if expected is None or found is None:
        return False
    return expected.shape == found.shape and expected.is_floating_point() == found.is_floating_point()


def _describe(key: str, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    if key not in found:
        return f"{key} is missing"
    if key not in expected:
        return f"{key} is not part of it"
    if found[key].shape == expected[key].shape:
        kinds = (str(each[key].dtype).removeprefix("torch.") for each in (found, expected))
        return "{} is of {}, expected {}".format(key, *kinds)
    return f"{key} is {shape_of(found[key])}, expected {shape_of(expected[key])}"
