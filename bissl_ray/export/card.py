"""The model card: what an exported model is, how it is loaded, and where it comes from."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from bissl_ray.controls import CONTROLS, PLAIN
from bissl_ray.export.choice import ExportedRun
from bissl_ray.export.weights import ModelWeights
from bissl_ray.export.write import ending, without_options
from bissl_ray.leaderboard.trial import space_of
from bissl_ray.metrics import of_objective
from bissl_ray.store.schema import Row
from bissl_ray.words import Phase, Standing

_STAGES = {
    "pretrained": "pretrained without labels",
    "aligned": "aligned with the dataset by BiSSL; its backbone has not been fine-tuned",
    "finetuned": "fine-tuned on the dataset",
}
_PHASES: dict[str, str] = {Phase.CONTROL: " without BiSSL: the control", Phase.CONFIRM: " after BiSSL"}


def model_card(
    out: str,
    run: ExportedRun,
    weights: ModelWeights,
    metadata: Mapping[str, Any],
    made_on: Mapping[str, Any],
    pixels: tuple[tuple[float, ...], tuple[float, ...]],
) -> str:
    """Write the card, as Markdown.

    Args:
        out: path or URI of the model's file, .safetensors or .pth.
        run: what is exported.
        weights: its tensors.
        metadata: of its checkpoint: model, settings, statistics.
        made_on: "fingerprint" of the data, and "data": images by split.
        pixels: mean and standard deviation per channel that images are normalised by.
    """
    row, settings, statistics = run.row, metadata["settings"], str(metadata.get("statistics", "not recorded"))
    parts = [
        f"# {weights.architecture} for {row['dataset']}",
        f"Backbone {weights.architecture}, {_how(row, metadata['model'], settings)}. Made by bissl-ray.",
        f"{_origin(row)}: {run.why}.",
        "## Loading",
        f"```python\n{_loading(out, weights)}\n```",
        _classes(weights, metadata.get("class_names")),
        "## Images",
        _detected() if weights.kind else _images(int(settings["image_size"]), *pixels),
        "## Scores",
        _bullets(_scores(run)),
        "## Batch statistics",
        f"{statistics.capitalize()}. A model without batch normalisation has none.",
        "## Data",
        _bullets(_data(made_on)),
        "## Settings",
        "As a search space for `bissl-ray sweep --space`:",
        f"```yaml\n{space_of(row['dataset'], settings)}\n```",
    ]
    if row["git"] or row["versions"]:
        parts += ["## Software", f"git {row['git'] or 'unknown'}; versions {row['versions'] or 'unknown'}"]
    return "\n\n".join(parts) + "\n"


def _how(row: Row, model: str, settings: Mapping[str, Any]) -> str:
    """How it was made, in words."""
    method = settings.get("method", "bissl")
    control = row.get("control") or (None if method == "bissl" else method)
    if control in (None, PLAIN) or model == "pretrained":
        return _STAGES[model] + (_PHASES.get(row["phase"], "") if model == "finetuned" else "")
    what = f"{CONTROLS[control].title} (a control of BiSSL: {CONTROLS[control].words})"
    return f"by {what}" if model == "finetuned" else f"by {what}, before its fine-tuning"


def _origin(row: Row) -> str:
    return f"Trial {row['trial']} of sweep {row['sweep']}" if row["sweep"] else f"Run {row['trial']}"


def _loading(out: str, weights: ModelWeights) -> str:
    name = PurePosixPath(without_options(out)).name
    if ending(out) == ".safetensors":
        read = f'from safetensors.torch import load_file\nstate = load_file("{name}")'
    else:
        read = f'state = torch.load("{name}", weights_only=True)'
    return f"import torch\n{read}\n{weights.load}\nmodel.load_state_dict(state)\nmodel.eval()"


def _classes(weights: ModelWeights, names: Sequence[str] | None) -> str:
    if not weights.classes:
        return "The file holds no classification layer: the model gives features."
    what = "The classification layer has {} outputs"
    if weights.kind:
        what = f"The {weights.kind} tells {{}} classes apart, numbered from 1, for 0 is the background"
    said = f"{what.format(weights.classes)}, in the order of the dataset's labels"
    if names is None:
        return f"{said}."
    return f"{said}: {'; '.join(f'{n} {name}' for n, name in enumerate(names, 1 if weights.kind else 0))}."


def _images(size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    channels = " and ".join(
        f"{what} {', '.join(f'{value:g}' for value in values)}"
        for what, values in (("mean", mean), ("standard deviation", std))
    )
    return f"RGB, {size} x {size} pixels: values in 0 to 1, normalised per channel by {channels}."


def _detected() -> str:
    return "RGB, of any size, each a tensor of values in 0 to 1: the model resizes and normalises them itself."


def _scores(run: ExportedRun) -> list[str]:
    row, configuration = run.row, run.configuration
    metric = of_objective(row["objective_name"])
    name = metric.in_tables.replace("_", " ")
    lines = []
    if row["objective"] is not None:
        lines.append(f"this run, {name}: {metric.score(row['objective'], unit=' %')}")
    if row["test_metric"] is not None:
        lines.append(f"this run, on the test split: {metric.score(row['test_metric'], unit=' %')}")
    if configuration is not None and configuration["standing"] == Standing.CONFIRMED:
        seeds = configuration["seeds"]
        lines.append(f"its configuration over {seeds} seeds, {name}: {_interval(configuration, 'objective')}")
        if configuration["test_metric"] is not None:
            lines.append(f"its configuration, on the test split: {_interval(configuration, 'test_metric')}")
    return [*lines, *([run.verdict] if run.verdict else [])] or ["none recorded"]


def _interval(row: Row, name: str) -> str:
    metric = of_objective(row["objective_name"])
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    ends = (low, high) if metric.larger_is_better else (high, low)
    interval = "" if low is None else " (95% interval {} to {})".format(*(metric.score(end, unit="") for end in ends))
    return metric.score(row[name], unit=" %") + interval


def _data(made_on: Mapping[str, Any]) -> list[str]:
    data = dict(made_on.get("data") or {})
    sizes = ", ".join(f"{count} {name}" for name, count in data.items() if name != "classes")
    lines = [f"fingerprint of the data and its splits, SHA-256: {made_on.get('fingerprint', 'unknown')}"]
    return [*lines, f"images: {sizes}"] if sizes else lines


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
