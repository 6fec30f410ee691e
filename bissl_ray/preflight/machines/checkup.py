"""All checks of the machines in their order; the fast ones of them before every sweep on a cluster."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.preflight.data import cache_here, inspect_everywhere
from bissl_ray.preflight.machines import checks, told
from bissl_ray.preflight.machines.ask import Asked, Machines, ThisMachine
from bissl_ray.preflight.machines.checks import Check, Verdict, failures, parted, some
from bissl_ray.preflight.machines.pairs import check_between
from bissl_ray.preflight.machines.storage import check_shared
from bissl_ray.preflight.machines.trial import Subject, check_first_steps
from bissl_ray.workers.address import chosen_address
from bissl_ray.workers.place import Need, OnCluster, place_for
from bissl_ray.workers.versions import required


def fast_checks(asked: Asked, storage: str) -> Iterator[Check]:
    """What takes a second: who answers, versions, code, clocks, disks, and the storage."""
    needed = tuple(each.name for each in required())
    answers = asked.ask(told.told, needed, as_code=True)
    own = told.told(needed)
    yield checks.check_answers(answers)
    yield checks.check_versions(answers, own)
    yield checks.check_code(answers, own)
    if isinstance(asked, Machines):
        yield checks.check_clocks(answers, storage)
    yield checks.check_disks(answers)
    yield checks.check_shared_memory(answers)
    # Of those that can be asked: one that lacks the package, or what that needs, knows of no storage.
    able = [each.machine for each in answers if each.value and each.value["package"] and not checks.lacking(each.value)]
    if able:
        yield check_shared(storage, asked.of(able))


def refuse_unfit(where: str, storage: str, say: Callable[[str], None]) -> None:
    """Refuse a connected cluster on which a job can't work.

    Args:
        where: it is, in words.
        storage: absolute.
        say: takes a line about what can work, and may not be what is wanted.

    Raises:
        BadInputError: a machine does not answer, or lacks what is needed, or the storage isn't one for all of them.
    """
    for check in fast_checks(Machines(), storage):
        if check.verdict == Verdict.FAILURE:
            raise BadInputError(f"{where}, {check.name}: {check.found}: {check.remedy}")
        if check.verdict == Verdict.WARNING:
            say(f"{where}, {check.name}: {check.found}: {check.remedy}")


def check_machines(subject: Subject, address: str | None, quick: bool) -> Iterator[Check]:
    """Look at the machines that a sweep would run on.

    Args:
        subject: what they are looked at for.
        address: of a Ray cluster to join, as `chosen_address` takes it; None: this machine.
        quick: start no worker, measure no connection.

    Yields:
        Each check as it comes.

    Raises:
        BadInputError: the address is none.
    """
    where = chosen_address(address)
    found = []
    if where is None:
        for check in _of(ThisMachine(), None, subject):
            found.append(check)
            yield check
        if failures(found) or quick:
            return
    need = Need(subject.workers, "--workers-per-trial", in_process=False)
    with ExitStack() as joined:
        try:
            place = joined.enter_context(place_for(need, "", where))
        except (BadInputError, RunFailedError) as error:
            yield Check("cluster" if where else "Ray", Verdict.FAILURE, *parted(str(error)))
            return
        assert isinstance(place, OnCluster)
        if where is not None:
            has = f"{place.cluster.where}: {place.cluster.cpus} CPUs, {place.cluster.gpus} GPUs"
            yield Check("cluster", Verdict.OK, f"{has}; {place.slots} trials at a time")
            for check in _of(Machines(), place, subject):
                found.append(check)
                yield check
            if failures(found) or quick:
                return
            yield from check_between(Machines().only(place.has_gpus))
        yield check_first_steps(subject, place)


def _of(asked: Asked, place: OnCluster | None, subject: Subject) -> Iterator[Check]:
    fast = list(fast_checks(asked, subject.storage))
    yield from fast
    able = not failures(check for check in fast if check.name in ("machines", "versions", "bissl-ray"))
    if able:
        yield from _check_data(asked.only(place is not None and place.has_gpus), subject)
    answers = asked.ask(told.gpus, patience=told.GPUS_S, as_code=True)
    yield checks.check_gpus(answers, asked.gpus if isinstance(asked, Machines) else None)


def _check_data(asked: Asked, subject: Subject) -> Iterator[Check]:
    try:
        facts = inspect_everywhere(subject.data, subject.space.settings({}).decoding, asked)
    except BadInputError as error:
        yield Check("data", Verdict.FAILURE, *parted(str(error)))
        return
    yield Check("data", Verdict.OK, f"{subject.data.dataset}: {facts.in_words}")
    if get_dataset(subject.data.dataset).embedded:
        return
    answers = asked.ask(cache_here)
    unwritable = [f"{answer.machine}: {answer.value or answer.failure}" for answer in answers if answer.value != ""]
    if unwritable:
        remedy = "images are decoded anew for every epoch there: set BISSL_RAY_CACHE to a folder that can be written"
        yield Check("cache", Verdict.WARNING, some(unwritable), remedy)
    else:
        yield Check("cache", Verdict.OK, "decoded images can be kept")
