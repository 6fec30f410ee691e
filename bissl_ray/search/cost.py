"""What a run costs in images and in gradients, counted from its settings: the same on every machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bissl_ray.config.settings import Settings
from bissl_ray.controls import CONTROLS
from bissl_ray.data.sampling import global_batch, steps_per_epoch
from bissl_ray.search.plans import STAGES, RunKind
from bissl_ray.words import Phase, Step

_VIEWS: Final = 2
"""Views of an unlabelled image, each of which passes the backbone."""
_FORWARD: Final = 1 / 3
"""A forward by itself, as part of a gradient: the backward takes about twice as long."""


@dataclass(frozen=True)
class TrainingImages:
    """What one run draws and computes, over all workers.

    Attributes:
        labelled: images drawn by the head's warm-up, the upper level and fine-tuning.
        unlabelled: drawn by the lower level; one counts once, whatever the number of its views.
        gradients: evaluations of a loss's gradient for one image (or one view of it) through the backbone; a forward
            alone counts as a third of one, a curvature product as two or so.
    """

    labelled: int
    unlabelled: int
    gradients: int


def images_of_run(
    settings: Settings, sizes: Mapping[str, int], workers: int, control: str | None, products: int = 0
) -> TrainingImages:
    """Count one whole run, from the head's warm-up to the end of fine-tuning.

    Args:
        settings: of the run, as its row gives them.
        sizes: images by split, "train" and "pretext" among them.
        workers: that share the run.
        control: what it is a run of, a name of `controls.CONTROLS`; None: BiSSL.
        products: with the lower Hessian, in all.
    """
    head = _head_images(settings, sizes, workers)
    aligning = _upper_images(settings, sizes, workers)
    if control is None or CONTROLS[control].aligns:
        extra = settings.finetune_extra_images
        # BiSSL takes the last batch of each alternation for the Hessian.
        drawn = settings.alternations * (settings.lower_steps + (settings.method == "bissl"))
        unlabelled = drawn * global_batch(sizes["pretext"], settings.lower_batch, workers)
        gradients = alignment_gradients(settings, sizes, workers, products)
    else:
        extra = settings.finetune_extra_images + (0 if control == "gradients" else aligning)
        unlabelled = gradients = aligning = 0
    finetuning = _finetuning_images(settings, sizes, workers, extra)
    return TrainingImages(
        head + aligning + finetuning,
        unlabelled,
        round(_FORWARD * head + gradients + _of_tuning(settings) * finetuning),
    )


def work_of(kind: RunKind, settings: Settings, sizes: Mapping[str, int], workers: int) -> float:
    """Gradients of one run of a kind, as far as settings tell: to compare runs by what they will take.

    Unlike `images_of_run` it counts the looks at the validation split, and of products as many as there may be.

    Args:
        kind: of the run; the test's is its look at the test split.
        settings: of the run.
        sizes: images by split, "train", "pretext", "validation" and "test" among them.
        workers: that share the run.
    """
    phase, step = kind
    if step == Step.TEST:
        return _FORWARD * sizes["test"]
    look = _FORWARD * sizes["validation"]
    work = 0.0
    if "head" in STAGES[kind]:
        work += _FORWARD * _head_images(settings, sizes, workers)
    if "bissl" in STAGES[kind]:
        products = settings.alternations * settings.upper_steps * settings.cg_iterations if settings.solves else 0
        work += alignment_gradients(settings, sizes, workers, products) + settings.alternations * look
    if "finetune" in STAGES[kind]:
        extra = settings.finetune_extra_images
        extra += _upper_images(settings, sizes, workers) if phase == Phase.CONTROL else 0
        work += _of_tuning(settings) * _finetuning_images(settings, sizes, workers, extra)
        work += settings.finetune_reports * look
    return work


def alignment_gradients(settings: Settings, sizes: Mapping[str, int], workers: int, products: int) -> int:
    """Gradients of what comes between the head's warm-up and fine-tuning; arguments as `images_of_run`."""
    upper = global_batch(sizes["train"], settings.upper_batch, workers)
    lower = global_batch(sizes["pretext"], settings.lower_batch, workers)
    of_task = settings.alternations * settings.upper_steps * upper
    of_pretext = settings.alternations * settings.lower_steps * lower * _VIEWS
    if settings.method != "bissl":
        return of_pretext + round(of_task * (1 if settings.method == "joint" else _FORWARD))
    curvature = min(settings.curvature_batch or lower, lower) * _VIEWS
    graphs = settings.alternations * curvature * (1 if settings.solves else _FORWARD)
    direct = 1 if settings.direct_weight else _FORWARD
    return round(of_pretext + of_task * (1 + direct) + graphs + products * _per_product(settings) * curvature)


def _per_product(settings: Settings) -> float:
    """Gradients that a curvature product on as many images takes, as docs/hypergradient.md counts them."""
    if settings.solver == "f2sa":
        return 1
    if settings.curvature == "gauss_newton":
        return 4 / 3
    again = settings.curvature_products == "recompute" or settings.curvature_chunks > 1
    return 3 if again else 2


def _head_images(settings: Settings, sizes: Mapping[str, int], workers: int) -> int:
    upper = global_batch(sizes["train"], settings.upper_batch, workers)
    return settings.head_epochs * steps_per_epoch(range(sizes["train"]), settings.upper_batch, workers) * upper


def _upper_images(settings: Settings, sizes: Mapping[str, int], workers: int) -> int:
    return settings.alternations * settings.upper_steps * global_batch(sizes["train"], settings.upper_batch, workers)


def _finetuning_images(settings: Settings, sizes: Mapping[str, int], workers: int, extra: int) -> int:
    batch = global_batch(sizes["train"], settings.finetune_batch, workers)
    steps = settings.finetune_epochs * steps_per_epoch(range(sizes["train"]), settings.finetune_batch, workers)
    return (steps + -(-extra // batch)) * batch


def _of_tuning(settings: Settings) -> float:
    return _FORWARD if settings.finetune_part == "head" else 1
