"""What becomes of what the machines have told: checks, each ok, a warning or a failure, with what to do about it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bissl_ray.leaderboard.numbers import duration, size
from bissl_ray.preflight.doctor.findings import listed
from bissl_ray.preflight.machines.ask import Answer
from bissl_ray.preflight.machines.told import PACKAGES

Told = Mapping[str, Any]

_CLOCK_S: Final = 5.0
_SIGNED_S: Final = 300.0
"""S3 and its like refuse a request whose clock is a quarter of an hour off; clocks drift on."""
_FULL: Final = 0.95
"""Ray puts nothing on a disk that is as full as that (local_fs_capacity_threshold)."""
_FEW_GB: Final = 10
_SHARED_GB: Final = 1
_GB: Final = 2**30


class Verdict(StrEnum):
    """What a check came to."""

    OK = "ok"
    WARNING = "warning"
    """It can work, and may not be what is wanted."""
    FAILURE = "failure"
    """It can't work."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of the thing.
        verdict: what it came to.
        found: in words.
        remedy: what to do; "": nothing.
    """

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def check_answers(told: Sequence[Answer[Told]]) -> Check:
    """Whether every machine answers."""
    silent = [f"{answer.machine}: {answer.failure}" for answer in told if answer.failure]
    if silent:
        remedy = "look at them with `ray status` on the head node, and take out of the cluster what does not answer"
        return Check("machines", Verdict.FAILURE, "; ".join(silent), remedy)
    number = "1 machine answers" if len(told) == 1 else f"all {len(told)} machines answer"
    return Check("machines", Verdict.OK, f"{number}: {some([answer.machine for answer in told], joined=', ')}")


def check_versions(told: Sequence[Answer[Told]], own: Told) -> Check:
    """Whether Python and the packages are those of this process."""
    apart: dict[str, list[str]] = {"lacks": [], "fails": [], "differs": []}
    named = dict.fromkeys(PACKAGES[:-1])
    for machine, its in _said(told):
        if absent := lacking(its):
            apart["lacks"].append(f"{machine} lacks {', '.join(absent)}")
            named |= dict.fromkeys(absent)
        versions = its["versions"]
        python, mine = its["python"], own["python"]
        if _minor(python) != _minor(mine):
            apart["fails"].append(f"{machine} has Python {python}, here it is {mine}")
        for name in PACKAGES[:-1]:
            here, there = own["versions"][name], versions[name]
            if there is not None and there != here:
                kind = "fails" if name == "ray" else "differs"
                apart[kind].append(f"{machine} has {name} {there}, here it is {here}")
    if apart["lacks"] or apart["fails"]:
        wanted = " ".join(f"{name}=={own['versions'][name]}" for name in named if own["versions"][name])
        remedy = f"the same everywhere, as here: Python {_minor(own['python'])}, {wanted}"
        return Check("versions", Verdict.FAILURE, some(apart["fails"] + apart["lacks"]), remedy)
    if apart["differs"]:
        remedy = "results may differ in their digits by where a trial runs: the same versions everywhere are safer"
        return Check("versions", Verdict.WARNING, some(apart["differs"]), remedy)
    known = ", ".join(f"{name} {own['versions'][name]}" for name in PACKAGES[:-1])
    return Check("versions", Verdict.OK, f"Python {own['python']}, {known}{_everywhere(told)}")


def lacking(its: Told) -> list[str]:
    """What a machine has not got of the packages that this one can't do without."""
    return [name for name in its["versions"] if name != PACKAGES[-1] and its["versions"][name] is None]


def check_code(told: Sequence[Answer[Told]], own: Told) -> Check:
    """Whether every machine has this package, and the same code of it: where this one joined, it has sent its own."""
    without = [f"{machine} lacks bissl-ray" for machine, its in _said(told) if its["package"] is None]
    other = [
        f"{machine} has other code of it (digest {its['code']} in {its['package']}, here {own['code']})"
        for machine, its in _said(told)
        if its["package"] is not None and its["code"] != own["code"]
    ]
    remedy = (
        "let bissl-ray join the cluster by itself (--address), for then it sends its code along, or install there what "
        f"is here in {own['package']}"
    )
    if without:
        return Check("bissl-ray", Verdict.FAILURE, some(without), remedy)
    version = own["versions"]["bissl-ray"] or "a checkout"
    if other:
        return Check("bissl-ray", Verdict.FAILURE, some(other), remedy)
    return Check("bissl-ray", Verdict.OK, f"{version}, code {own['code']}{_everywhere(told)}")


def check_clocks(told: Sequence[Answer[Told]], storage: str | None) -> Check:
    """How far the machines' clocks are from this one's; of each no more than is certain."""
    off: dict[str, float] = {}
    for answer in told:
        if answer.value is not None:
            at = answer.value["time"]
            off[answer.machine] = max(at - answer.answered_at, answer.asked_at - at, 0.0)
    worst = max(off.values(), default=0.0)
    late = [f"{machine} by {duration(by)}" for machine, by in off.items() if by > _CLOCK_S]
    if not late:
        return Check("clocks", Verdict.OK, f"within {max(1, round(worst))} s of this one")
    signed = storage is not None and "://" in storage and worst > _SIGNED_S
    why = "object stores refuse requests of such a clock" if signed else "times in rows and logs are off by as much"
    verdict = Verdict.FAILURE if signed else Verdict.WARNING
    return Check("clocks", verdict, f"off: {some(late)}", f"{why}: let the machine set its clock (NTP)")


def check_disks(told: Sequence[Answer[Told]]) -> Check:
    """Whether Ray has a disk to write to."""
    full, few, least = [], [], float("inf")
    for machine, its in _said(told):
        disk = its["disk"]
        if disk is None:
            full.append(f"{machine} has no {its['temporary']}")
            continue
        least = min(least, disk["free"])
        where = f"{machine}: {size(disk['free'])} free in {its['temporary']}"
        if disk["free"] < (1 - _FULL) * disk["total"]:
            full.append(f"{where}, {1 - disk['free'] / disk['total']:.0%} used")
        elif disk["free"] < _FEW_GB * _GB:
            few.append(where)
    if full:
        remedy = f"free it: Ray keeps nothing on a disk that is {_FULL:.0%} full"
        return Check("disks", Verdict.FAILURE, some(full), remedy)
    if few:
        return Check("disks", Verdict.WARNING, some(few), "logs and models of some days may fill that")
    return Check("disks", Verdict.OK, f"{'at least ' * (len(told) > 1)}{size(int(least))} free for Ray")


def check_shared_memory(told: Sequence[Answer[Told]]) -> Check:
    """Whether /dev/shm holds batches on their way from loader processes, and nccl's buffers."""
    small, least = [], float("inf")
    for machine, its in _said(told):
        shared = its["shm"]
        if shared is None:
            small.append(f"{machine} has no /dev/shm")
            continue
        least = min(least, shared["free"])
        if shared["free"] < _SHARED_GB * _GB:
            small.append(f"{machine}: {size(shared['free'])} free of {size(shared['total'])}")
    if small:
        remedy = "loaders and nccl may fail there: give containers --shm-size=8g, or an emptyDir of medium Memory"
        return Check("/dev/shm", Verdict.WARNING, some(small), remedy)
    return Check("/dev/shm", Verdict.OK, f"{'at least ' * (len(told) > 1)}{size(int(least))} free")


def check_gpus(answers: Sequence[Answer[Told]], by_ray: Mapping[str, int] | None) -> Check:
    """Whether torch sees the GPUs that Ray sees, and can work on each.

    Args:
        answers: of `told.gpus`.
        by_ray: how many Ray has, by machine; None: no Ray was asked.
    """
    wrong, seen = [], Counter[str]()
    for answer in answers:
        its = answer.value or {"failure": answer.failure}
        if its.get("failure"):
            wrong.append(f"{answer.machine}: torch could not be asked: {its['failure']}")
            continue
        broken = [gpu for gpu in its["gpus"] if gpu["works"] is not True]
        wrong += [f"{answer.machine}: {gpu['name']} does not work: {gpu['works']}" for gpu in broken]
        if by_ray is not None and len(its["gpus"]) != by_ray[answer.machine]:
            wrong.append(f"{answer.machine}: Ray counts {by_ray[answer.machine]}, torch sees {len(its['gpus'])}")
        seen.update(f"{gpu['name']} ({size(gpu['memory'])})" for gpu in its["gpus"])
    if wrong:
        remedy = (
            "a torch for that driver and card (`python -m torch.utils.collect_env` there), or `ray start --num-gpus`"
        )
        return Check("GPUs", Verdict.FAILURE, some(wrong), remedy)
    cards = ", ".join(f"{number} {name}" for name, number in seen.items())
    return Check("GPUs", Verdict.OK, cards or "none: trials run on CPUs")


def parted(line: str) -> tuple[str, str]:
    """What is wrong and what to do about it, of a line that says both."""
    found, _, remedy = line.partition(": ") if line.count(": ") == 1 else line.partition("; ")
    return (found, remedy) if remedy else (line, "")


def failures(checks: Iterable[Check]) -> list[Check]:
    """Those that failed."""
    return [check for check in checks if check.verdict == Verdict.FAILURE]


def _said(told: Sequence[Answer[Told]]) -> Iterator[tuple[str, Told]]:
    return ((answer.machine, answer.value) for answer in told if answer.value is not None)


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _everywhere(told: Sequence[Answer[Told]]) -> str:
    return " everywhere" if len(told) > 1 else ""


def some(lines: Sequence[str], joined: str = "; ") -> str:
    """The first few of several machines' lines."""
    return listed(lines, joined, most=4)
