"""A whole storage: everything in it is looked at once, and what nobody needs is removed where that is asked for."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from pyarrow.fs import FileType

from bissl_ray.errors import BadInputError
from bissl_ray.preflight.doctor.claims import is_held, look_at_claims, needless, stand
from bissl_ray.preflight.doctor.documents import look_at_documents
from bissl_ray.preflight.doctor.findings import Checkup, Finding, State
from bissl_ray.preflight.doctor.inventory import Inventory, take_inventory
from bissl_ray.preflight.doctor.left_over import look_for_left_over, remove
from bissl_ray.preflight.doctor.models import look_at_models
from bissl_ray.preflight.doctor.rows import look_at_rows, read_rows
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.store.filesystem import is_there, open_storage
from bissl_ray.store.paths import trial_folder
from bissl_ray.training.files import progress_file

_ORDER: Final = tuple(State)


def check_storage(
    storage: str, clean: bool = False, quick: bool = False, opened: Callable[[int, int], None] = lambda *_: None
) -> Checkup:
    """Look at all that a storage holds.

    Args:
        storage: absolute.
        clean: remove what was left over, where nobody is at work.
        quick: open no file of tensors.
        opened: called with bytes of tensors that have been read, and how many there are.

    Raises:
        BadInputError: there is no such storage.
        OSError: it refuses.
    """
    filesystem, base = open_storage(storage)
    if not is_there(storage):
        raise BadInputError(f"storage {storage!r}: found no such folder; give the one to be checked with --storage")
    if filesystem.get_file_info(base).type == FileType.File:
        raise BadInputError(f"storage {base} is a file, a folder was expected; give another --storage")
    found = take_inventory(filesystem, base)
    standing = stand(filesystem, base, found.claims)
    rows = {name: read_rows(filesystem, base, name, found.datasets[name]) for name in sorted(found.sweeps)}
    findings = [*look_at_documents(storage, base, found)]
    unread = {finding.place for finding in findings}
    for name, own in rows.items():
        held = is_held(standing.get(f"sweeps/{name}", {}))
        goes_on = None if f"sweeps/{name}/sweep.json" in unread else partial(_goes_on, storage, name, found)
        findings += look_at_rows(filesystem, base, own, held, goes_on)
    done, total = 0, sum(found.models.values())

    def read(size: int) -> None:
        nonlocal done
        done += size
        opened(done, total)

    findings += look_at_models(storage, found, rows.values(), read, quick)
    left_over: defaultdict[str, list[Finding]] = defaultdict(list)
    for folder, each in look_for_left_over(found, standing, rows):
        left_over[folder].append(each)
    for folder, own_claims in standing.items():
        for each in look_at_claims(own_claims):
            if each.state == State.LEFT_OVER and needless(own_claims[each.place]) and not is_held(own_claims):
                left_over[folder].append(each)
            else:
                findings.append(each if each.state != State.LEFT_OVER else replace(each, state=State.NOTE))
    for folder, each_of in left_over.items():
        findings += remove(storage, filesystem, base, folder, each_of) if clean else each_of
    # Results first: they are what all the rest is for.
    findings.sort(key=lambda finding: (_ORDER.index(finding.state), finding.what not in ("results file", "rows")))
    checkup = Checkup(findings)
    checkup.checked.update(
        {
            "results files": sum(own.files for own in rows.values()),
            "trials": sum(len(own.trials) for own in rows.values()),
            "reports": sum(len(own.reports) for own in rows.values()),
            "documents": len(found.documents),
            "claims": sum(map(len, standing.values())),
            "files of tensors": 0 if quick else len(found.models),
        }
    )
    return checkup


def _goes_on(storage: str, sweep: str, found: Inventory) -> tuple[list[str], list[str]]:
    # Optuna takes a second to import, and is asked where something is damaged only.
    from bissl_ray.search.history import replay, runs_again

    replayed = replay(read_sweep_document(storage, sweep).request, storage)
    return runs_again(replayed, lambda name: progress_file(trial_folder(sweep, name)) in found.models)
