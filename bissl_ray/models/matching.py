"""Loads weights into a backbone, strictly unless told otherwise, and says what came of it."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from bissl_ray.config.names import VITS
from bissl_ray.errors import BadInputError
from bissl_ray.models.backbones import backbone_names, build_backbone
from bissl_ray.models.base import Backbone
from bissl_ray.models.timm_keys import from_timm_keys, timm_keys
from bissl_ray.models.vit import POSITIONS, fitted_positions, side

_COUNTER = "num_batches_tracked"
_EXAMPLES = 2

_HEADS = (
    "fc.",
    "head.",
    "head_dist.",
    "heads.",
    "classifier.",
    "projector.",
    "projection_head.",
    "predictor.",
    "prediction_head.",
    "prototypes.",
)
"""How names of tensors begin that are no part of a backbone: classification layers and heads of pretext tasks."""
_BESIDE = re.compile(
    r"(?:\w*_)?(?:fc|heads?|decoder|classifier|classifiers|projector|projection|proj|predictor|prediction|prototypes?|pooler|"
    r"queue|queue_ptr|center|centers|memory|memory_bank|mask_token|logit_scale|logit_bias|temperature|temp|tau|mean|std|"
    r"criterion|loss|loss_fn|text|text_encoder|decoders|aux|mlp|neck|probe|linear|contrast)(?:_\w*|\d*)$"
)
"""What the first word of a name is like that stands beside a whole backbone: a decoder, another loss, a queue."""


@dataclass(frozen=True)
class LoadReport:
    """Which tensors of a backbone came from a file.

    Attributes:
        source: the file.
        architecture: the backbone.
        matched: how many of the backbone's tensors came from the file, counters of batches seen left out.
        expected: how many tensors the backbone has, these counters left out.
        missing: names of those that the file lacks.
        unexpected: names in the file that the backbone hasn't; heads are not among them.
        misshapen: what has another shape, as "NAME (2, 3) instead of (2, 4)".
        heads: how many tensors of classification layers, projectors and the like were left out.
        notes: what else happened, in words.
    """

    source: str
    architecture: str
    matched: int
    expected: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    heads: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether the whole backbone came from the file, and the file holds nothing of another one."""
        return not (self.missing or self.unexpected or self.misshapen)

    @property
    def counts(self) -> str:
        """How many tensors match, are missing, unexpected, of another shape: with examples."""
        return ", ".join(
            [
                f"{self.matched} of its {self.expected} tensors match",
                _counted("missing", self.missing),
                _counted("unexpected", self.unexpected),
                _counted("of another shape", self.misshapen),
            ]
        )

    def __str__(self) -> str:
        """One line for a person."""
        parts = [f"{self.architecture} from {self.source}: {self.counts}"]
        if self.heads:
            parts.append(f"{self.heads} of heads left out")
        if self.missing or self.misshapen:
            parts.append("what did not match keeps fresh weights")
        if self.unexpected:
            parts.append("the unexpected are left out")
        return "; ".join([*parts, *self.notes])


def _counted(what: str, names: Sequence[str]) -> str:
    if not names:
        return f"0 {what}"
    return f"{len(names)} {what} ({', '.join(names[:_EXAMPLES])}{', ...' if len(names) > _EXAMPLES else ''})"


def load_backbone(
    backbone: Backbone, state: Mapping[str, Tensor], source: str, allow_partial: bool = False
) -> LoadReport:
    """Copy a state dict into a backbone; every name and every shape must match.

    Names may be the backbone's own or timm's. A transformer's positional embedding for another image size is
    interpolated. Classification layers and pretext heads are left out. `num_batches_tracked`, a counter that files from
    before torch 0.4.1 lack and that nothing here reads, may be missing and then keeps its value.

    Args:
        backbone: receives the weights, in place.
        state: tensors by parameter name, as `load_checkpoint(...).backbone` returns them.
        source: where they came from, for the error line and the report.
        allow_partial: take what matches in name and shape, if anything does; the rest keeps its weights.

    Returns:
        What matched, and what did not.

    Raises:
        BadInputError: names, counts or shapes differ from the backbone's architecture. The backbone
            is then unchanged.
    """
    expected = backbone.state_dict()
    found, report = _compare(backbone.architecture, expected, state, source)
    report = _without_what_stands_beside(report, expected)
    if not report.complete and not (allow_partial and report.matched):
        looks_like = architecture_of(state)
        if looks_like is not None and looks_like != backbone.architecture:
            advice = f"it looks like {looks_like}: set backbone to {looks_like}"
        elif any(_COMPUTED.search(key) for key in report.unexpected):
            advice = (
                "its weights are kept in parts (pruning, or weight or spectral norm): make them whole, and save it then"
            )
        elif renamed := _under_other_names(report, expected, state):
            advice = f"its tensors are there under other names, such as {renamed}: rename them as the backbone's are"
        elif report.matched == report.expected and not report.misshapen:
            own = _first_words(backbone.architecture, expected)
            advice = "leave them out with --allow-partial if they change nothing of what the backbone computes"
            if any("." in key and key.partition(".")[0] in own for key in report.unexpected):
                advice = "it is a larger network: give a file of this architecture"
        elif report.matched >= _MOST_OF_IT * report.expected and not _of_its_essence(report):
            advice = "give a file of this architecture, or --allow-partial to keep fresh weights for the rest"
        else:
            advice = "give a file of this architecture"
        raise BadInputError(f"{source} does not fit the backbone {backbone.architecture}: {report.counts}; {advice}")
    backbone.load_state_dict({**expected, **found})
    return report


_MOST_OF_IT = 0.5


def _without_what_stands_beside(report: LoadReport, expected: Mapping[str, Tensor]) -> LoadReport:
    """Count as heads what stands beside a backbone that is there as a whole."""
    own = _first_words(report.architecture, expected)
    beside = {
        key
        for key in report.unexpected
        if _counts(key) or ((first := key.partition(".")[0]) not in own and _BESIDE.match(first))
    }
    if report.missing or report.misshapen or not beside:
        return report
    rest = tuple(key for key in report.unexpected if key not in beside)
    return replace(report, unexpected=rest, heads=report.heads + len(beside))


def _first_words(architecture: str, expected: Mapping[str, Tensor]) -> set[str]:
    """How names of its own begin, and timm's for these."""
    return {key.partition(".")[0] for key in (*expected, *timm_keys(architecture, expected).values())}


def _counts(key: str) -> bool:
    """Whether a tensor only counts operations, as profilers leave it."""
    return key.endswith(("total_ops", "total_params"))


_COMPUTED = re.compile(r"_orig$|_mask$|weight_[guv]$|parametrizations\.")
_ESSENCE = re.compile(r"^(?:conv1|conv_proj|patch_embed|stem|features\.0)\.|pos_embed|class_token|cls_token")


def _of_its_essence(report: LoadReport) -> bool:
    """Whether without what is missing the rest is worth nothing: the first layer, positions, statistics."""
    missing = set(report.missing)
    alone = [key for key in missing if "running_" in key and f"{key.rpartition('.')[0]}.weight" not in missing]
    return bool(alone) or any(_ESSENCE.search(key) for key in (*report.missing, *report.misshapen))


def _under_other_names(report: LoadReport, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str | None:
    """A tensor under another name, where what is missing is all among the unexpected by its shapes; else None."""
    left = [key for key in report.unexpected if key in state and not key.endswith(_COUNTER)]
    if not report.missing or report.misshapen or len(report.missing) != len(left):
        return None
    shapes = Counter(state[key].shape for key in left)
    first = max(report.missing, key=lambda key: expected[key].numel())
    alike = [key for key in left if state[key].shape == expected[first].shape and _last(key) == _last(first)]
    wanted = Counter(expected[key].shape for key in report.missing)
    return f"{alike[0]} for {first}" if wanted == shapes and alike else None


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def architecture_of(state: Mapping[str, Tensor]) -> str | None:
    """The known architecture whose names and shapes these are, for images of whatever size; or None."""
    for name in backbone_names():
        with torch.device("meta"):
            expected = build_backbone(name, image_size=_a_size_for(name)).state_dict()
        if _compare(name, expected, state, "")[1].complete:
            return name
    return None


def _compare(
    architecture: str, expected: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], LoadReport]:
    """What of a state fits a backbone, under the backbone's names, and the report on all of it."""
    renamed = from_timm_keys(expected, architecture, state)
    heads = [key for key in renamed if key not in expected and key.startswith(_HEADS)]
    candidates = {key: tensor for key, tensor in renamed.items() if key not in heads}
    notes = _fit_positions(expected, candidates)
    shared = [key for key in candidates if key in expected]
    found = {key: candidates[key] for key in shared if _form(candidates[key]) == _form(expected[key])}
    report = LoadReport(
        source=source,
        architecture=architecture,
        matched=sum(not key.endswith(_COUNTER) for key in found),
        expected=sum(not key.endswith(_COUNTER) for key in expected),
        missing=tuple(key for key in expected if key not in candidates and not key.endswith(_COUNTER)),
        unexpected=tuple(key for key in candidates if key not in expected),
        misshapen=tuple(
            f"{key} {_form(candidates[key])} instead of {_form(expected[key])}" for key in shared if key not in found
        ),
        heads=len(heads),
        notes=notes,
    )
    return found, report


def _form(tensor: Tensor) -> str:
    """Shape and, where it is not that of weights, type: whole numbers in their place are quantised weights."""
    shape = str(tuple(tensor.shape))
    whole = not tensor.is_floating_point()
    return shape if not whole or tensor.numel() == 1 else f"{shape} of {str(tensor.dtype).removeprefix('torch.')}"


def _fit_positions(expected: Mapping[str, Tensor], candidates: dict[str, Tensor]) -> tuple[str, ...]:
    """Interpolate a positional embedding where its size differs, in place; say so."""
    for key in POSITIONS:
        if key not in expected or key not in candidates or candidates[key].shape == expected[key].shape:
            continue
        old, tokens = candidates[key], expected[key].shape[1]
        fitted = fitted_positions(old, tokens)
        if fitted is None or fitted.shape != expected[key].shape:
            continue
        candidates[key] = fitted
        return (f"positional embedding interpolated from {_patches(old.shape[1])} to {_patches(tokens)} patches",)
    return ()


def _patches(tokens: int) -> str:
    count = next(count for count in range(tokens, 0, -1) if side(count))
    return f"{side(count)}x{side(count)}"


def _a_size_for(name: str) -> int:
    return 8 * VITS.get(name, 8)
