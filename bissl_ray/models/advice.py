"""What to do about weights that don't fit a backbone: never anything that would do harm."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from bissl_ray.models.load_report import LoadReport
from bissl_ray.models.timm_keys import timm_keys

COUNTER = "num_batches_tracked"
"""How names of tensors end that only count, and that older files lack."""
_MOST_OF_IT = 0.5
_BESIDE = re.compile(
    r"(?:\w*_)?(?:fc|heads?|decoder|classifier|classifiers|projector|projection|proj|predictor|prediction|prototypes?|pooler|"
    r"queue|queue_ptr|center|centers|memory|memory_bank|mask_token|logit_scale|logit_bias|temperature|temp|tau|mean|std|"
    r"criterion|loss|loss_fn|text|text_encoder|decoders|aux|mlp|neck|probe|linear|contrast)(?:_\w*|\d*)$"
)
"""What the first word of a name is like that stands beside a whole backbone: a decoder, another loss, a queue."""
_COMPUTED = re.compile(r"_orig$|_mask$|weight_[guv]$|parametrizations\.")
_ESSENCE = re.compile(r"^(?:conv1|conv_proj|patch_embed|stem|features\.0)\.|pos_embed|class_token|cls_token")


def advice_on(
    report: LoadReport, expected: Mapping[str, Tensor], state: Mapping[str, Tensor], looks_like: str | None
) -> str:
    """What to do.

    Args:
        report: what matched, and what did not.
        expected: the backbone's state.
        state: the weights, as they were given.
        looks_like: the known architecture that they are of, if there is one.
    """
    if looks_like is not None and looks_like != report.architecture:
        return f"it looks like {looks_like}: set backbone to {looks_like}"
    if any(_COMPUTED.search(key) for key in report.unexpected):
        return "its weights are kept in parts (pruning, or weight or spectral norm): make them whole, and save it then"
    if renamed := _under_other_names(report, expected, state):
        return f"its tensors are there under other names, such as {renamed}: rename them as the backbone's are"
    if report.matched == report.expected and not report.misshapen:
        own = _first_words(report.architecture, expected)
        if any("." in key and key.partition(".")[0] in own for key in report.unexpected):
            return "it is a larger network: give a file of this architecture"
        return "leave them out with --allow-partial if they change nothing of what the backbone computes"
    if report.matched >= _MOST_OF_IT * report.expected and not _of_its_essence(report):
        return "give a file of this architecture, or --allow-partial to keep fresh weights for the rest"
    return "give a file of this architecture"


def without_what_stands_beside(report: LoadReport, expected: Mapping[str, Tensor]) -> LoadReport:
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


def _of_its_essence(report: LoadReport) -> bool:
    """Whether without what is missing the rest is worth nothing: the first layer, positions, statistics."""
    missing = set(report.missing)
    alone = [key for key in missing if "running_" in key and f"{key.rpartition('.')[0]}.weight" not in missing]
    return bool(alone) or any(_ESSENCE.search(key) for key in (*report.missing, *report.misshapen))


def _under_other_names(report: LoadReport, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str | None:
    """A tensor under another name, where what is missing is all among the unexpected by its shapes; else None."""
    left = [key for key in report.unexpected if key in state and not key.endswith(COUNTER)]
    if not report.missing or report.misshapen or len(report.missing) != len(left):
        return None
    shapes = Counter(state[key].shape for key in left)
    first = max(report.missing, key=lambda key: expected[key].numel())
    alike = [key for key in left if state[key].shape == expected[first].shape and _last(key) == _last(first)]
    wanted = Counter(expected[key].shape for key in report.missing)
    return f"{alike[0]} for {first}" if wanted == shapes and alike else None


def _last(key: str) -> str:
    return key.rpartition(".")[2]
