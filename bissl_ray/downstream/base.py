"""The protocol of a downstream task: a supervised loss, the head that it needs, and the figures to judge it by."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from torch import Tensor, nn

from bissl_ray.config.settings import Settings
from bissl_ray.data.nested import stacked
from bissl_ray.data.spec import DatasetSpec, Target
from bissl_ray.errors import BadInputError
from bissl_ray.models import Backbone
from bissl_ray.parallel import Group

if TYPE_CHECKING:
    import PIL.Image

Batch = Any
"""What a task's `collate` makes: tensors, or any nest of tuples, lists and dictionaries of them."""

Prepare = Callable[[Any, Target], Any]
"""From an image (PIL RGB, or a uint8 tensor (3, H, W)) and its target to a sample. Picklable: loader processes call it.

Its random numbers come from torch's default CPU generator, which the loaders seed for each image.
"""


class Scores(NamedTuple):
    """What a model is worth on a split.

    Attributes:
        figures: as `DownstreamTask.evaluate` gives them.
        by_class: some of them for each class, in the order of classes; None for one that the split doesn't show. Empty
            where the task has no such figures.
    """

    figures: dict[str, float]
    by_class: dict[str, list[float | None]]


class WholeModel(NamedTuple):
    """Backbone and task as one model of torchvision's.

    Attributes:
        tensors: by the names that they have there.
        load: lines of Python that build the model, which then takes the tensors by `load_state_dict`; torch is
            imported.
        kind: what it is, in a word.
        classes: that it tells apart.
    """

    tensors: dict[str, Tensor]
    load: str
    kind: str
    classes: int


class DownstreamTask(nn.Module, ABC):
    """A supervised objective L_D with all that it adds to a backbone, φ_D; the backbone is handed to it, not owned.

    What a sample, a batch and a target look like is known here, and nowhere else but in the dataset's reader.

    Attributes:
        metrics: the figures of `evaluate` that a dataset may name as its metric, of `metrics.METRICS`.
        evaluation_batch: images of a batch that is scored, over all workers.
    """

    metrics: ClassVar[tuple[str, ...]]
    evaluation_batch: ClassVar[int] = 512

    @classmethod
    def check(cls, spec: DatasetSpec, settings: Settings) -> None:
        """Refuse settings that the task can't be built for, before anything starts; here it takes any.

        Args:
            spec: the dataset's facts.
            settings: of a trial.

        Raises:
            BadInputError: they don't fit.
        """

    @classmethod
    @abstractmethod
    def build(cls, backbone: Backbone, classes: int | None, settings: Settings) -> Self:
        """The task of a trial, its weights drawn from torch's global generator: the same seed gives the same ones.

        Args:
            backbone: the architecture that it will be handed.
            classes: how many the dataset tells apart; None: it has none.
            settings: of the trial.

        Raises:
            BadInputError: the task can't be built for these.
        """

    @classmethod
    @abstractmethod
    def train_sample(cls, spec: DatasetSpec, settings: Settings) -> Prepare:
        """What makes a sample to train on, augmented as the dataset's facts allow.

        Args:
            spec: the dataset's facts.
            settings: of the trial; `image_size` is the side of what the backbone is fed, pixels, if the task says
                nothing else.
        """

    @classmethod
    @abstractmethod
    def evaluation_sample(cls, spec: DatasetSpec, settings: Settings) -> Prepare:
        """What makes a sample to be scored on, nothing of it random; arguments as of `train_sample`."""

    @classmethod
    def collate(cls, samples: Sequence[Any]) -> Batch:
        """Make a batch of samples, at least one; here of samples that are alike in shape."""
        return stacked(samples)

    @abstractmethod
    def loss(self, backbone: nn.Module, batch: Batch) -> Tensor:
        """The mean loss over this worker's samples, a scalar whose gradient is taken (collective).

        With equal shares the mean of these over workers is the loss on the global batch. Second derivatives are the
        pretext's alone: the upper gradient needs none of these.
        """

    @abstractmethod
    def evaluate(self, backbone: nn.Module, batches: Iterable[Batch], group: Group = None) -> dict[str, float]:
        """Score a model on a split, in evaluation mode; each module's mode is restored afterwards (collective).

        Every worker must call, and gets the same figures: those of one process, for every image is counted once.
        Shares may be uneven or empty.

        Args:
            backbone: as of `loss`.
            batches: this worker's share of the split, on the task's device, in the order of the split.
            group: the workers that share the split.

        Returns:
            The task's `metrics`, as far as they mean anything here, and what else is worth knowing.

        Raises:
            BadInputError: no worker has any image.
        """

    def scores(self, backbone: nn.Module, batches: Iterable[Batch], group: Group = None) -> Scores:
        """As `evaluate`, and where the task has them the figures of each class (collective)."""
        return Scores(self.evaluate(backbone, batches, group), {})

    def picture(
        self, backbone: nn.Module, image: Any, target: Target, spec: DatasetSpec, class_names: Sequence[str]
    ) -> "PIL.Image.Image | None":
        """Draw what a model makes of an image beside what it shows; not collective, nothing is trained.

        Args:
            backbone: as of `loss`.
            image: PIL RGB, or a uint8 tensor (3, H, W).
            target: its target.
            spec: the dataset's facts.
            class_names: of each class.

        Returns:
            The drawing; None where the task has none, which is so here.
        """
        return None

    @classmethod
    def whole_model(
        cls, backbone: Mapping[str, Tensor], head: Mapping[str, Tensor], settings: Settings, spec: DatasetSpec
    ) -> WholeModel | None:
        """Backbone and head, by their tensors, as a model of torchvision's that is not a classifier.

        Returns:
            None where torchvision has none, or it is a classifier of one linear layer: that is so here.
        """
        return None


def refuse_no_images() -> BadInputError:
    """The error for a split without images."""
    return BadInputError("no images to evaluate on any worker; expected at least one: check the split")


@contextmanager
def in_mode(training: bool, *modules: nn.Module) -> Iterator[None]:
    """Put modules into training or evaluation mode, and each part back into its own afterwards."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for module in modules:
            module.train(training)
        yield
    finally:
        for part, before in modes:
            part.training = before
