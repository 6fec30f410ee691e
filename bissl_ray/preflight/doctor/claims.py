"""Claims on the folders of a storage: who works there, and what those left behind who do no more."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pyarrow.fs import FileSystem

from bissl_ray.preflight.doctor.findings import Finding, State
from bissl_ray.store.lock import Standing, standing
from bissl_ray.world import world

_THREADS = 32
"""A claim of another machine is watched for half a minute: all of them in the same one."""


def stand(filesystem: FileSystem, base: str, claims: Mapping[str, set[str]]) -> dict[str, dict[str, Standing]]:
    """How claims stand, by their paths, by the folder that each is on, as they are given (`Inventory.claims`)."""
    paths = [(folder, path) for folder, own in claims.items() for path in sorted(own)]
    if not paths:
        return {}
    looked = world().side_by_side(
        lambda each: standing(filesystem, f"{base}/{each[1]}"), paths, min(_THREADS, len(paths))
    )
    by_folder: dict[str, dict[str, Standing]] = {}
    for (folder, path), each in zip(paths, looked, strict=True):
        by_folder.setdefault(folder, {})[path] = each
    return by_folder


def is_held(claims: dict[str, Standing]) -> bool:
    """Whether any of the claims on a folder is of a process that may be at work."""
    return any(each.alive for each in claims.values())


def needless(each: Standing) -> bool:
    """Whether a claim's file may be removed: no process can ever come back to it, and look for a mark beside it."""
    return not each.alive and (each.here or not each.there)


def look_at_claims(claims: dict[str, Standing]) -> Iterator[Finding]:
    """Say who works in a folder, and who did."""
    for path, each in claims.items():
        claim = each.claim
        if claim is None:
            given_back = Finding(State.LEFT_OVER, "claim", path, "the mark of one that has been given back since")
            unread = Finding(State.DAMAGED, "claim", path, "it can't be read", "it keeps nobody out; delete it")
            yield unread if each.there else given_back
            continue
        process = f"process {claim.pid} on {claim.host}"
        seen = datetime.fromtimestamp(claim.renewed_at, UTC)
        if each.alive:
            yield Finding(State.NOTE, "claim", path, f"{process} works here")
        elif each.here:
            yield Finding(State.LEFT_OVER, "claim", path, f"{process}, which is gone")
        elif each.void:
            found = f"{process}, from which another took it; last heard of {seen:%Y-%m-%d %H:%M} UTC"
            yield Finding(State.NOTE, "claim", path, found, "kept: should that process wake up, it ends for this mark")
        else:
            found = f"{process}, not heard of for half a minute"
            yield Finding(State.NOTE, "claim", path, found, "resume takes the folder from it")
