"""How to run it again: the exact commands, and the search space as a file that `bissl-ray sweep --space` takes."""

import json
import shlex
from dataclasses import fields
from typing import Final

from bissl_ray.config.columns import settings_of_row
from bissl_ray.config.data_choice import DataPlaces
from bissl_ray.config.describe import to_yaml
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.flags import flag_of
from bissl_ray.config.options import SweepOptions
from bissl_ray.leaderboard.trial import space_of
from bissl_ray.report.elements import code, folded, paragraph
from bissl_ray.report.facts import Subject, SweepFacts
from bissl_ray.search.records import began_at
from bissl_ray.store.schema import Row
from bissl_ray.words import Kind

_SPACE: Final = "space.yaml"


def to_run_again(facts: SweepFacts, compared: bool) -> str:
    """Commands that go on with a sweep, run it anew, run its winner again and export that.

    Args:
        facts: of the sweep.
        compared: whether it is of a comparison, which runs it.
    """
    parts = [paragraph("To go on with it, or extend it:"), code(_command(facts, "resume", facts.name))]
    document = facts.document
    if compared:
        parts = []
    if document is not None and document.command:
        parts += [paragraph("The command that ran last:"), code(document.command)]
    if document is not None and document.request.control is None:
        parts += [
            paragraph(f"To run it anew, with the search space below as {_SPACE}:"),
            code(sweep_command(document, facts.storage)),
        ]
    best = next((row for row in facts.ranked if row["kind"] == Kind.BISSL and row["rank"] == 1), None)
    if best is not None:
        parts += _of_best(facts, best)
    if document is not None:
        parts.append(folded("The search space, resolved", code(to_yaml(document.request.space))))
    return "".join(parts)


def compare_command(subject: Subject, storage: str) -> str:
    """The command that goes on with a comparison, or shows it."""
    return shlex.join(["bissl-ray", "compare", "--name", subject.name, "--storage", storage])


def report_command(subjects: list[Subject], storage: str, out: str) -> str:
    """The command that writes a report again."""
    return shlex.join(["bissl-ray", "report", *(each.name for each in subjects), "--storage", storage, "--out", out])


def sweep_command(document: SweepDocument, storage: str) -> str:
    """The command that asks for a sweep as its document does, under another name."""
    request = document.request
    given: dict[str, object] = {"space": _SPACE, "datasets": request.dataset, "name": f"{request.name}-again"}
    given |= {each.name: getattr(request.data, each.name) for each in fields(DataPlaces)}
    if request.pretrained is not None:
        given |= {"pretrained": request.pretrained.file, "pretrained_head": request.pretrained.head}
    if request.workers_per_trial > 1:
        given["workers_per_trial"] = request.workers_per_trial
    given |= {"gpus_per_worker": request.gpus_per_worker, "resources": json.dumps(request.resources)}
    given["warm_from"] = ",".join(source.sweep for source in request.warm)
    words = ["bissl-ray", "sweep"]
    for name, value in given.items():
        if value not in (None, "", "{}"):
            words += [flag_of(SweepOptions, name), str(value)]
    words += [flag_of(SweepOptions, "pretrain")] if document.pretrain else []
    if request.pretrained is not None and request.pretrained.allow_partial:
        words.append(flag_of(SweepOptions, "allow_partial"))
    return shlex.join([*words, "--storage", storage])


def _of_best(facts: SweepFacts, best: Row) -> list[str]:
    name = best["trial"]
    head = next(row for row in facts.trials if row["trial"] == name)
    parts = []
    if not began_at(name, head["step"]):  # what another was, whose place it took, is not kept
        again = _command(facts, "train", "--from-trial", f"{facts.name}/{name}")
        parts += [paragraph(f"To run {name} again, and compare every figure with what is stored:"), code(again)]
    export = _command(facts, "export", "--sweep", facts.name, "--out", f"{facts.name}.safetensors")
    parts += [paragraph("To write its best model as a file for torchvision or timm:"), code(export)]
    settings = {key: value for key, value in settings_of_row(best).items() if value is not None}
    parts.append(folded(f"The settings of {name}, as a search space", code(space_of(facts.dataset, settings))))
    return parts


def _command(facts: SweepFacts, *words: str) -> str:
    return shlex.join(["bissl-ray", *words, "--storage", facts.storage])
