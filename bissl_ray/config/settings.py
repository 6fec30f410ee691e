"""Every setting of one trial: what a search space may search or fix, with its bounds and defaults.

Defaults are the paper's published settings (arXiv 2410.02387): 500 alternations of 20 lower and 8
upper steps, λ = 0.001, damping 10, five conjugate-gradient iterations. Of these a solve uses fewer where it is
solved to cg_tolerance before; 0 runs all five, as published.

The groups are what a part of the code reads; a trial has all of them, as `Settings`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from bissl_ray.config.combinations import broken_combination
from bissl_ray.config.data_choice import Decoding
from bissl_ray.config.detection import DetectionSettings
from bissl_ray.config.names import PretextName, SolverName, check_backbone
from bissl_ray.config.refusal import RuleError
from bissl_ray.config.settings_group import SettingsGroup

TargetSchedule = Literal["constant", "cosine"]


class ModelSettings(SettingsGroup):
    """What the networks and their losses are, and in which arithmetic they run."""

    backbone: Annotated[str, AfterValidator(check_backbone)] = Field(
        "resnet50", description="architecture of both backbones: a name of torchvision's, or timm/NAME"
    )
    pretext: PretextName = Field("simclr", description="self-supervised objective of the lower level")
    image_size: int = Field(96, ge=8, le=1024, description="side of the square input image, pixels")
    batch_norm: Literal["synchronised", "per_worker"] = Field(
        "synchronised", description="whether batch statistics span all workers of a trial"
    )
    projector_width: int = Field(256, ge=2, description="hidden width of the pretext head")
    projector_output: int = Field(256, ge=2, description="output width of the pretext head")
    temperature: float = Field(0.5, gt=0, description="temperature of the contrastive loss (SimCLR)")
    target_momentum: float = Field(0.9995, ge=0, le=1, description="EMA momentum of the target network (BYOL)")
    target_schedule: TargetSchedule = Field(
        "constant", description="target_momentum throughout, or rising from it to 1 over the run on a cosine (BYOL)"
    )
    vicreg_similarity: float = Field(25.0, ge=0, description="weight of the distance between views (VICReg)")
    vicreg_variance: float = Field(25.0, ge=0, description="weight of what a dimension's deviation lacks of 1 (VICReg)")
    vicreg_covariance: float = Field(1.0, ge=0, description="weight of covariances between dimensions (VICReg)")
    barlow_redundancy: float = Field(
        0.0051, ge=0, description="weight of correlations between different dimensions (Barlow Twins)"
    )
    barlow_scale: float = Field(
        0.024, gt=0, description="weight of the whole loss, a sum over all pairs of dimensions (Barlow Twins)"
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "tf32",
        description="arithmetic of training steps and scores: float32 (IEEE), tf32 (CUDA rounds what it multiplies), "
        "bfloat16 (automatic casts); curvature is always IEEE float32",
    )
    replay: Literal["off", "auto", "on"] = Field(
        "off",
        description="record losses, gradients and curvature products once and replay them (CUDA graphs): auto goes on "
        "without where that fails or differs, on ends the trial there. This has never run on a GPU",
    )
    compile: Literal["off", "auto"] = Field(
        "off",
        description="let torch.compile join the passes of batch norm and its derivatives: auto goes on without where "
        "that fails. It takes some seconds at first. This has never run on a GPU, and gains nothing on a CPU",
    )


class LevelSettings(SettingsGroup):
    """How both levels of BiSSL take their steps."""

    alternations: int = Field(500, ge=1, description="lower steps, then upper steps, this many times")

    lower_steps: int = Field(20, ge=1, description="lower-level steps per alternation (N_L)")
    lower_optimizer: Literal["lars", "sgd"] = Field("lars", description="optimizer of the lower level")
    lower_lr: float = Field(1.0, ge=0, description="peak learning rate of the lower level")
    lower_momentum: float = Field(0.9, ge=0, lt=1, description="momentum of the lower level")
    lower_weight_decay: float = Field(1e-6, ge=0, description="weight decay of the lower level")
    lower_batch: int = Field(1024, ge=2, description="images per lower step, over all workers")
    lower_memory: Literal["whole", "blocks", "chunks", "auto"] = Field(
        "whole",
        description="of lower and pretraining steps: whole holds every activation; blocks recomputes those inside each "
        "block of the backbone; chunks those of lower_chunks parts of the images, for backbones without batch norm; "
        "auto: what fits, by an estimate (CUDA; else whole). The gradient is the same",
    )
    lower_chunks: int = Field(8, ge=2, description="parts of a worker's images where lower_memory is chunks")
    lower_warmup: int = Field(10, ge=0, description="warm-up of the lower learning rate, alternations")
    exclude_bias_and_norm: bool = Field(
        True, description="leave biases and norm parameters out of LARS adaptation and lower weight decay"
    )

    upper_steps: int = Field(8, ge=1, description="upper-level steps per alternation (N_U)")
    upper_lr: float = Field(0.03, ge=0, description="peak learning rate of the upper level")
    upper_momentum: float = Field(0.9, ge=0, lt=1, description="momentum of the upper level")
    upper_weight_decay: float = Field(1e-3, ge=0, description="weight decay of the upper level")
    upper_batch: int = Field(256, ge=2, description="images per upper step, over all workers")
    direct_weight: float = Field(1.0, ge=0, description="γ, weight of the upper loss at θ_D itself")
    clip_norm: float | None = Field(10.0, gt=0, description="largest gradient norm at both levels; null: no clipping")


WITHOUT_SYSTEM: Final = ("identity", "sama")
"""Solvers that solve nothing, whatever the number of iterations."""


class SolverSettings(SettingsGroup):
    """The implicit part M (M + H)⁻¹ v of the hypergradient: λ, H, and how the linear system is solved."""

    proximity_weight: float = Field(1e-3, ge=0, description="λ, weight of ½‖θ − θ_D‖² in the lower objective")
    proximity_decay: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="λ of stage i of the backbone (0 the stem, 1 layer1, ...) is proximity_weight times this to the i",
    )
    proximity_weight_stem: float | None = Field(
        None, ge=0, description="λ of the stem; null: as proximity_weight and proximity_decay give it"
    )
    proximity_weight_layer1: float | None = Field(None, ge=0, description="λ of layer1, likewise")
    proximity_weight_layer2: float | None = Field(None, ge=0, description="λ of layer2, likewise")
    proximity_weight_layer3: float | None = Field(None, ge=0, description="λ of layer3, likewise")
    proximity_weight_layer4: float | None = Field(None, ge=0, description="λ of layer4, likewise")
    damping: float = Field(10.0, ge=0, le=1e6, description="added to λ inside the linear solve only")
    damping_relative: float = Field(
        0.0,
        ge=0,
        le=1e3,
        description="added to damping, times the largest Ritz value of H on the alternation's batch (in magnitude): "
        "so it means the same on every backbone and dataset",
    )
    solver: SolverName = Field("cg", description="how (M + H) x = v is solved; T1 − T2 is unrolled, cg_iterations 1")
    cg_iterations: int = Field(5, ge=0, le=1000, description="most iterations of the linear solve; 0 is the identity")
    cg_tolerance: float = Field(
        0.05, ge=0, lt=1, description="relative residual at which the solve stops early; 0 never"
    )
    recycled_products: int = Field(
        6,
        ge=0,
        description="products kept through the upper steps of an alternation to start the next solve from; "
        "0: start each at zero",
    )
    reuse_solution: bool = Field(
        False,
        description="start an alternation's first solve from the last alternation's solution, where that is better "
        "than from 0: one product to know it by, and one vector of memory (cg, minres, neumann)",
    )
    curvature: Literal["hessian", "gauss_newton"] = Field(
        "hessian", description="H: the Hessian of the pretext loss, or its Gauss-Newton matrix, which is never negative"
    )
    curvature_products: Literal["graph", "recompute", "difference"] = Field(
        "graph",
        description="keep one gradient graph per alternation; rebuild it for each product: slower, in less memory; or "
        "take the difference of two gradients at displaced θ, without second derivatives, in a training step's memory "
        "(solver f2sa takes gradients at any rate)",
    )
    curvature_batch: int | None = Field(
        None, ge=2, description="images of a lower batch that H is taken on, over all workers; null: lower_batch"
    )
    curvature_chunks: int = Field(
        1,
        ge=1,
        description="equal parts of the curvature batch, each with a loss of its own: memory of one part; "
        "from 2 on each is rebuilt for each product",
    )

    @property
    def solves(self) -> bool:
        """Whether linear systems are solved at all, by products; else by the identity, or what stands for it."""
        return self.solver not in WITHOUT_SYSTEM and self.cg_iterations > 0

    @property
    def first_order(self) -> bool:
        """Whether the curvature is known by gradients alone, and no second derivative is taken."""
        return self.curvature_products == "difference" or self.solver == "f2sa"


OF_THE_SOLVE: Final = tuple(name for name in SolverSettings.model_fields if not name.startswith("proximity_"))
"""Settings that say how systems are solved, the solver among them."""


def unread(point: Mapping[str, Any]) -> frozenset[str]:
    """Settings of a point that nothing reads, because nothing is solved there: any value would have done as well.

    Args:
        point: values by setting; what it leaves out has its default.
    """
    if point.get("solver") in WITHOUT_SYSTEM:
        return frozenset(OF_THE_SOLVE) - {"solver"}
    return frozenset(OF_THE_SOLVE) - {"solver", "cg_iterations"} if point.get("cg_iterations") == 0 else frozenset()


class BilevelSettings(SolverSettings, LevelSettings):
    """All that the alternation of both levels reads."""


class Settings(BilevelSettings, DetectionSettings, ModelSettings):
    """The settings of one trial, flat as a search space names them (docs/architecture.md, "Settings and spaces").

    Batches are global: a worker takes its share. Learning rates are peaks of their schedules. Fields are listed in the
    reverse order of the bases: the models, the detector, the levels, the solver, then those below.
    """

    objective: str | None = Field(
        None,
        description="figure on the validation split that trials are compared by, of those of the dataset's task; null: "
        "the dataset's own",
    )

    explore_by: Literal["upper", "lower_knn", "lower_probe"] = Field(
        "upper",
        description="whose figure it is after an alternation: the upper model's; or the lower backbone's as it is, "
        "frozen, by the votes of neighbours or a linear probe of the labelled training images, as alignment_every "
        "measures them (of at most 5,000 validation images)",
    )

    method: Literal["bissl", "joint", "continued"] = Field(
        "bissl",
        description="what comes between the head's warm-up and fine-tuning: BiSSL; or, to compare it with, joint: both "
        "losses on one backbone; continued: the pretext's loss alone, while the head keeps up",
    )
    joint_weight: float = Field(1.0, ge=0, description="weight of the downstream loss where method is joint")

    patience: int | None = Field(
        None,
        ge=1,
        description="end the alternations, with the models as they are, when so many in a row have brought no better "
        "objective; the control keeps the images of all of them. null: all run",
    )
    divergence_factor: float | None = Field(
        3.0,
        gt=1,
        description="end the trial when the lower loss is above this times its value in the first alternation; "
        "null: never",
    )
    unsolved_alternations: int | None = Field(
        50,
        ge=1,
        description="end the trial when so many alternations in a row leave a mean relative residual of 1 or more, no "
        "better than no solution; null: never",
    )
    collapse_std: float | None = Field(
        0.02,
        gt=0,
        le=1,
        description="end the trial when the pretext embeddings deviate by less: 1 is evenly spread, 0 one point; "
        "null: never",
    )
    collapse_rank: float | None = Field(
        1.5, gt=1, description="end the trial when the effective rank of the pretext embeddings is lower; null: never"
    )

    alignment_every: int = Field(
        0,
        ge=0,
        description="measure after every so many alternations, the first and the last among them, how well the lower "
        "backbone fits the task as it is, frozen (neighbours, linear probe), and how far it has come from the "
        "pretrained one; 0: never. Training does not depend on it, and its time is counted apart",
    )

    head_epochs: int = Field(20, ge=0, description="linear warm-up of the downstream head, backbone frozen")
    head_lr: float = Field(0.1, ge=0, description="peak learning rate of the head's warm-up")

    finetune_epochs: int = Field(400, ge=0, description="epochs of fine-tuning; 0: none, what it starts from is scored")
    finetune_from: Literal["lower", "upper"] = Field(
        "lower",
        description="backbone that fine-tuning starts from after BiSSL: the lower level's, or the upper level's, which "
        "reports score; without BiSSL there is one",
    )
    finetune_part: Literal["all", "head"] = Field(
        "all",
        description="what fine-tuning trains: backbone and head, or the head alone on a backbone that stands still "
        "(finetune_layer_decay and finetune_l2_sp are then idle)",
    )
    finetune_lr: float = Field(0.03, ge=0, description="peak learning rate of fine-tuning")
    finetune_warmup: int = Field(0, ge=0, description="warm-up of fine-tuning, epochs")
    finetune_layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="fine-tuning's rate of the backbone's last part is finetune_lr times this, that of the part before "
        "it times its square, and so on to the stem; 1: one rate for all",
    )
    finetune_momentum: float = Field(0.9, ge=0, lt=1, description="momentum of fine-tuning")
    finetune_weight_decay: float = Field(1e-3, ge=0, description="weight decay of fine-tuning, of backbone and head")
    finetune_l2_sp: float = Field(
        0.0,
        ge=0,
        description="α of L2-SP, weight decay of the backbone towards where fine-tuning starts; finetune_weight_decay, "
        "β, goes on beside it, so that both together draw the backbone to α/(α + β) of its start and the head to 0",
    )
    finetune_extra_images: int = Field(
        0, ge=0, description="labelled images that fine-tuning is prolonged by, beyond its epochs; repeats count"
    )
    finetune_batch: int = Field(256, ge=2, description="images per fine-tuning step, over all workers")

    finetune_reports: int = Field(
        10,
        ge=1,
        description="looks at the validation split while fine-tuning, evenly spread, one after the last step",
    )

    pretrain_epochs: int = Field(500, ge=1, description="epochs of pretraining over the pretext pool")
    pretrain_lr: float = Field(4.8, ge=0, description="peak learning rate of pretraining")
    pretrain_momentum: float = Field(0.9, ge=0, lt=1, description="momentum of pretraining")
    pretrain_weight_decay: float = Field(1e-6, ge=0, description="weight decay of pretraining")
    pretrain_batch: int = Field(1024, ge=2, description="images per pretraining step, over all workers")
    pretrain_warmup: int = Field(10, ge=0, description="warm-up of pretraining, epochs")

    loader_processes: int = Field(
        4,
        ge=0,
        description="decoding processes of each image stream of a worker (BiSSL has four); 0 decodes in the worker",
    )
    augment: Literal["loader", "device", "auto"] = Field(
        "loader",
        description="where training's photographs are cropped, resized and coloured: where they are decoded, by "
        "compiled code; on the worker's device, in batches; or where a short measurement finds it faster. Results "
        "don't depend on it",
    )
    cache_gib: float | None = Field(
        None,
        ge=0,
        description="most GiB of decoded images that a node keeps, all datasets together; 0: none; null: a quarter of "
        "its memory. Results don't depend on it",
    )
    cache_side: int | None = Field(
        None,
        ge=8,
        description="pixels of the shorter side that larger images are reduced to when they are decoded, so that more "
        "fit into the cache: this changes what is trained on and scored; null: none are",
    )
    exif_orientation: bool = Field(
        True, description="turn images as EXIF says, as viewers do; false leaves them, as torchvision's loader does"
    )

    @property
    def decoding(self) -> Decoding:
        """How image files are decoded."""
        return Decoding(self.cache_side, self.exif_orientation)

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        broken = broken_combination({name: (value,) for name, value in self})
        if broken is not None:
            names, message = broken
            raise RuleError(message, names[0])
        return self


def finetune_marks(steps: int, reports: int) -> list[int]:
    """After which of its steps fine-tuning reports: evenly spread, the last step included, none twice."""
    return sorted({steps * k // reports for k in range(1, reports + 1)} - {0}) or [0]


_EARLIER: Final = {"exif_orientation": False}
"""What releases did that didn't have a setting yet, where that isn't its default."""


def of_any_release(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a trial ran with them, by what its release wrote of them; what it didn't know is as it did it."""
    return {**_EARLIER, **values}


NULL_MEANS: Final[Mapping[str, str]] = {
    "curvature_batch": "lower_batch",
    **{name: "proximity_weight" for name in Settings.model_fields if name.startswith("proximity_weight_")},
}
"""Settings whose null stands for another setting's value."""
