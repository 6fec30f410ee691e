"""A trial of a sweep that is run again: what is stored of it, what is to be done, and what is not as it was then.

Neither torch nor Ray is imported: `show` asks it for a command.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bissl_ray.config.columns import settings_of_row
from bissl_ray.config.data_choice import USED
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.refusal import shown
from bissl_ray.config.requests import StageRequest
from bissl_ray.config.resolved import ResolvedSettings
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard import find_trial
from bissl_ray.search.plans import Plan, plan_of
from bissl_ray.search.records import records_from_store
from bissl_ray.store import read_reports, to_rows
from bissl_ray.store.documents import git_state, read_sweep_document, versions
from bissl_ray.store.filesystem import is_there
from bissl_ray.store.schema import Row
from bissl_ray.training.order import Order
from bissl_ray.training.planned import planned
from bissl_ray.words import ALIGNING, PBT, Status

_ON_CPU: Final = "CPU"
_CUT_SHORT: Final = frozenset({Status.PRUNED, Status.PAUSED, Status.RUNNING})


@dataclass(frozen=True)
class Again:
    """A stored trial.

    Attributes:
        row: of the trial.
        reports: all of its reports.
        document: of its sweep.
        settings: that it ran with.
        plan: by which it ran, as far as it went.
        storage: that holds it.
    """

    row: Row
    reports: list[Row]
    document: SweepDocument
    settings: Settings
    plan: Plan
    storage: str

    @property
    def name(self) -> str:
        """SWEEP/TRIAL."""
        return f"{self.row['sweep']}/{self.row['trial']}"

    @property
    def dataset(self) -> str:
        """Of the sweep."""
        return str(self.row["dataset"])

    @property
    def seed(self) -> int:
        """Of the trial."""
        return self.plan.record.seed

    @property
    def workers(self) -> int:
        """That it ran on."""
        return int(self.row["workers"] or self.document.request.workers_per_trial)

    @property
    def order(self) -> Order:
        """What its workers did."""
        return planned(self.plan, self.settings, self.document, self.storage)

    def order_for(self, request: StageRequest) -> Order:
        """The same for a request: in a folder of its own, with what the request says otherwise."""
        alike = {"trial": request.name, "sweep": None, "keep_models": True, "threads": self.row["threads"]}
        order = planned(self.plan, request.settings, self.document, self.storage)
        return order.model_copy(update={**alike, "data": request.data, "seed": request.seed})

    @property
    def words(self) -> str:
        """What is done, in a line."""
        until, stages = self.plan.until, ", ".join(self.order.stages)
        far = "" if until is None else f", as far as it went: {until} of {self.settings.alternations} alternations"
        return f"{self.name} again: {stages}{far}"

    def changed(self, request: StageRequest) -> str | None:
        """What a request says otherwise than the trial had it, in words; None: nothing."""
        pairs = {name: (value, getattr(self.settings, name)) for name, value in request.settings}
        pairs["seed"] = request.seed, self.seed
        for name in USED:
            pairs[name] = getattr(request.data, name), getattr(self.document.request.data, name)
        said = (f"{name} {_value(new)} instead of {_value(old)}" for name, (new, old) in pairs.items() if new != old)
        return ", ".join(said) or None

    def unlike(self, request: StageRequest, fingerprint: str) -> Iterator[str]:
        """A line for each thing that is not as it was then, as far as it is known before there is a place to run.

        Args:
            request: to run it again.
            fingerprint: of the data as they are now.
        """
        row, known = self.row, self.document.fingerprint
        if (otherwise := self.changed(request)) is not None:
            yield f"unlike then: {otherwise}"
        if known is not None and known != fingerprint:
            yield f"unlike then: other data, or another split: fingerprint {fingerprint[:12]} instead of {known[:12]}"
        then, now = _versions(row["versions"]), _versions(versions())
        changed = (name for name, was in then.items() if now.get(name) != was)
        others = [f"{name} {now.get(name, 'missing')} instead of {then[name]}" for name in changed]
        if others:
            yield f"unlike then: {', '.join(others)}"
        if row["git"] != git_state():
            yield f"unlike then: the code, at {git_state() or 'no commit'} instead of {row['git'] or 'no commit'}"
        elif str(row["git"]).endswith("-dirty"):
            yield "the code may be unlike then: it had been changed since its commit, and has been now"
        if request.workers != self.workers:
            yield f"unlike then: {request.workers} worker{'s' * (request.workers != 1)} instead of {self.workers}"

    def unlike_there(self, device: str) -> Iterator[str]:
        """A line on a device that is not what it was then.

        Args:
            device: as a row has it, or only "CPU" or "GPU", where no more is known before it runs.
        """
        then = self.row["device"]
        if then is None:
            yield "its device and threads are not stored, by an earlier release: last digits may be others"
        elif not then.startswith(device) and not (device == "GPU" and not then.startswith(_ON_CPU)):
            yield f"unlike then: on {device} instead of {then}"


def stored_trial(storage: str, name: str) -> Again:
    """Read what is stored of a trial, to run it again.

    Args:
        storage: that holds its sweep.
        name: "SWEEP/TRIAL", or "TRIAL" where one sweep alone has it.

    Raises:
        BadInputError: there is no such trial, its sweep's document can't be read, or what it started from is gone.
    """
    sweep, _, trial = name.rpartition("/")
    row, _ = find_trial(storage, trial, sweep or None)
    document = sweep_of_trial(storage, name, row)
    reports = [each for each in to_rows(read_reports(storage, row["dataset"], row["sweep"])) if each["trial"] == trial]
    (record,) = records_from_store([row], reports)
    settings = ResolvedSettings.of(settings_of_row(row), f"trial {row['sweep']}/{trial}").settings
    told = [each["alternation"] for each in reports if each["stage"] in ALIGNING]
    finetuned = any(each["stage"] == "finetune" for each in reports)
    cut = record.status in _CUT_SHORT and told and not finetuned and max(told) < settings.alternations
    again = Again(row, reports, document, settings, plan_of(record, max(told) if cut else None), storage)
    _check_start(again)
    return again


def sweep_of_trial(storage: str, name: str, row: Mapping[str, Any]) -> SweepDocument:
    """The document of the sweep that a trial is of (raises BadInputError, with what to do instead)."""
    try:
        return read_sweep_document(storage, row["sweep"])
    except BadInputError as error:
        raise BadInputError(
            f"--from-trial {name}: {error}; give its settings with --set, or with a file and --space"
        ) from error


def _check_start(again: Again) -> None:
    order, name, storage = again.order, again.name, again.storage
    alone = "or give another with --start FILE, to take its settings alone"
    if order.inherits:
        donor = str(again.row["origin"]).removeprefix(PBT)
        raise BadInputError(
            f"{name} took over from {donor} after alternation {again.plan.record.began_at}, and what that was then is "
            f"not kept: it can't be run again; {again.row['sweep']}/{donor} may be, {alone}"
        )
    if order.fresh or is_there(f"{storage}/{order.start}"):
        return
    parent = again.plan.start
    anew = "" if parent is None else f" (bissl-ray train --from-trial {again.row['sweep']}/{parent} makes it anew)"
    raise BadInputError(f"{name} started from {storage}/{order.start}, which is gone: put it back{anew}, {alone}")


def _versions(written: str | None) -> dict[str, str]:
    return dict(json.loads(written)) if written else {}


def _value(value: object) -> str:
    return value if isinstance(value, str) else shown(value)
