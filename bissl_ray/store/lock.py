"""One process per sweep or stage: two that ran the same at once would spoil each other's results (issue 18).

Whoever wants a folder writes a claim of its own, `<folder>/lock-<token>.json`, and then looks for others'. It goes in
only when it saw none: of two, the one that wrote later must have seen the other, on any file system or object store
that shows what was written to whoever looks afterwards. Of several that saw each other the one with the smallest token
waits, and the others withdraw.

A claim of a process on this machine is good for as long as that process is alive, stopped or not. One of another
machine is void when it was not renewed for half a minute by the clock of who looks, who watches it for so long: what
the clocks of two machines say is never compared. It is marked so for ever: whoever wakes up sees the mark, writes no
more rows, and ends; and what it had begun to write can't get to its place (`store.fence`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from pyarrow.fs import FileSystem, FileType
from pydantic import BaseModel, Field, ValidationError

from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.store.fence import EVER, Holders
from bissl_ray.store.filesystem import atomic_write, delete_if_there, listed, moves, open_storage, remove_asides
from bissl_ray.world import Process, world

_BEAT_S: Final = 5.0
LEASE_S: Final = 30.0
_LATE: Final = timedelta(minutes=5)
"""After it renewed its claim for the last time, a holder has written its last row: half a minute later by who watched
it, and some more, for a storage may have refused it the renewal for a while."""
_LATEST_S: Final = 2.0**32
"""No clock says more, for some eighty years."""
_LOOK_S: Final = 0.2
_CLAIM: Final = "lock-"
_VOID: Final = ".void"
_EARLIER: Final = "lock.json"
"""That of releases before, which had one for all."""


class Claim(BaseModel):
    """A file `lock-<token>.json`: who works in a folder, or wants to.

    Attributes:
        host: name of the machine.
        where: what tells its processes from others' of that number; empty: not known (of releases before).
        pid: of the process there.
        started: when that was started, as its system counts; None: not known.
        beat: how often it has been renewed.
        holding: whether it has gone in; False: it looks whether others want to.
        renewed_at: when, seconds since the epoch by its own clock.
        since: when it was first written, likewise; None: not known (of releases before).
        version: of the file's shape.
    """

    host: str
    where: str = ""
    pid: int
    started: int | None = None
    beat: int = 0
    holding: bool = True
    renewed_at: float = Field(ge=0, le=_LATEST_S)
    since: float | None = Field(None, ge=0, le=_LATEST_S)
    version: int = 2


class Held:
    """A folder that is held. Its claim is renewed until it is given back, or found to be void.

    Attributes:
        files: writes and removes files, wherever they are, as long as it is held.
    """

    def __init__(self, filesystem: FileSystem, path: str, what: str, on_loss: Callable[[str], None]) -> None:
        """Write the claim, and begin to renew it; arguments as of `locked`, with the claim's path."""
        self._filesystem, self._path, self._what, self._on_loss = filesystem, path, what, on_loss
        self._beats, self._holding, self._since = 0, False, world().now().timestamp()
        self._renewing = world().lock()
        self._over = world().event()
        self.files: Final = Holders(filesystem, _own(path), self.check)
        self._renew()
        self._thread = world().start(self._beat, f"lock-{what}")

    def goes_in(self) -> None:
        """Say that it holds the folder from now on."""
        self._holding = True
        self._renew()

    def check(self) -> None:
        """Make sure, before something is written, that it is held yet (raises RunFailedError: another has taken it)."""
        if _is_void(self._filesystem, self._path):
            raise RunFailedError(self._loss)

    def give_back(self) -> None:
        """Hold it no longer."""
        self._over.set()
        self._thread.join()
        with suppress(OSError):
            self._filesystem.delete_file(self._path)
            self._filesystem.delete_dir(_own(self._path))

    @property
    def _loss(self) -> str:
        return (
            f"this process had stood still, and another machine has taken {self._what} for its own: nothing more is "
            "written; what had been reported until then is kept, and goes on there"
        )

    def _beat(self) -> None:
        while not self._over.wait(_BEAT_S):
            with suppress(OSError):  # a full disk, say: tried again in a moment
                if _is_void(self._filesystem, self._path):
                    self._on_loss(self._loss)
                    return
                self._renew()

    def _renew(self) -> None:
        with self._renewing:
            self._beats += 1
            mine = Claim(
                **world().process()._asdict(),
                beat=self._beats,
                holding=self._holding,
                renewed_at=world().now().timestamp(),
                since=self._since,
            )
            atomic_write(self._filesystem, self._path, mine.model_dump_json().encode())


def check_free(storage: str, folder: str, what: str) -> None:
    """Make sure that nobody works in a folder; arguments and errors as `locked`."""
    filesystem, base = open_storage(storage)
    for path in _claims(filesystem, f"{base}/{folder}"):
        _check_not_held(_alive(filesystem, path), what)


class Standing(NamedTuple):
    """A claim on a folder, as it stands.

    Attributes:
        path: of its file.
        claim: what it says; None: it can't be read, or only its mark is left.
        alive: whether its process may be at work; of another machine that takes half a minute to know.
        void: whether it is marked so: its process, if it wakes up, writes nothing more.
        here: whether its process is, or was, one of this machine.
        there: whether the file is, readable or not.
    """

    path: str
    claim: Claim | None
    alive: bool
    void: bool
    here: bool
    there: bool


def standing(filesystem: FileSystem, path: str) -> Standing:
    """Look at a claim, by the path of its file or of the mark that it is void."""
    path = path.removesuffix(_VOID)
    claim, void = _read(filesystem, path), _is_void(filesystem, path)
    alive = not void and claim is not None and _alive(filesystem, path) is not None
    there = filesystem.get_file_info(path).type == FileType.File
    return Standing(path, claim, alive, void, claim is not None and _is_here(claim), there)


def claims_on(filesystem: FileSystem, folder: str) -> dict[str, Claim]:
    """The claims on a folder that are not void, by the paths of their files; nobody waits to see if they are renewed.

    Args:
        filesystem: of the storage.
        folder: its path there.
    """
    found = ((path, _read(filesystem, path)) for path in _claims(filesystem, folder))
    return {path: claim for path, claim in found if claim is not None}


def runs_here(claim: Claim) -> bool | None:
    """Whether the process of a claim lives; None: it is one of another machine."""
    if not _is_here(claim):
        return None
    return world().runs(Process(claim.host, claim.where, claim.pid, claim.started))


def is_claim(path: str) -> bool:
    """Whether a file is a claim, or the mark that one is void."""
    name = path.rpartition("/")[2]
    return name == _EARLIER or (name.startswith(_CLAIM) and name.removesuffix(_VOID).endswith(".json"))


def owner_of(folder: str) -> str | None:
    """The claim whose holder has a folder of that name beside it, taken away from it or not; None: it is none such."""
    token = folder.removesuffix(_VOID)
    return f"{token}.json" if token.startswith(_CLAIM) and not token.endswith(".json") else None


@contextmanager
def locked(storage: str, folder: str, what: str, on_loss: Callable[[str], None] = lambda _: None) -> Iterator[Held]:
    """Hold a sweep's or a stage's folder for the duration of a `with` block.

    Args:
        storage: absolute.
        folder: relative to the storage, such as "sweeps/night".
        what: is held, for error lines: "sweep night".
        on_loss: called with the reason, by a thread, when another machine has taken it meanwhile.

    Raises:
        BadInputError: another process is running it.
    """
    check_free(storage, folder, what)
    filesystem, base = open_storage(storage)
    mine = f"{base}/{folder}/{_CLAIM}{world().token()}.json"
    filesystem.create_dir(f"{base}/{folder}", recursive=True)
    held = Held(filesystem, mine, what, on_loss)
    try:
        while others := [path for path in _claims(filesystem, f"{base}/{folder}") if path != mine]:
            for path in others:
                claim = _alive(filesystem, path)
                if claim is None:
                    _bury(filesystem, path)
                elif claim.holding or path < mine:
                    _check_not_held(claim, what)
            # One with a larger token withdraws when it looks, or was in before this one was written.
            world().sleep(_LOOK_S)
        held.goes_in()
        held.files.after = _latest(filesystem, f"{base}/{folder}")
        remove_asides(filesystem, f"{base}/{folder}", spared=_CLAIM)
        yield held
    finally:
        held.give_back()


def _check_not_held(claim: Claim | None, what: str) -> None:
    if claim is not None:
        raise BadInputError(
            f"{what} is being run by process {claim.pid} on {claim.host}: wait for it to end, "
            "or stop it with Ctrl-C there"
        )


def _claims(filesystem: FileSystem, folder: str) -> list[str]:
    """Paths of all claims on a folder that are not void."""
    names = {file.path for file in listed(filesystem, folder) if file.type == FileType.File}
    ours = (name for name in names if name.endswith(".json") and f"/{_CLAIM}" in name and name + _VOID not in names)
    return sorted(ours) + [name for name in names if name.endswith(f"/{_EARLIER}")]


def _alive(filesystem: FileSystem, path: str) -> Claim | None:
    """A claim of a process that may be at work; None: there is none, or it is none of ours, or its process is gone."""
    claim = _read(filesystem, path)
    if claim is None:
        return None
    if _is_here(claim):
        return claim if world().runs(Process(claim.host, claim.where, claim.pid, claim.started)) else None
    until = world().monotonic() + LEASE_S
    while world().monotonic() < until:
        world().sleep(_LOOK_S)
        now = _read(filesystem, path)
        if now is None or now != claim:
            return now
    return None


def _is_here(claim: Claim) -> bool:
    me = world().process()
    return claim.where == me.where or (not claim.where and claim.host == me.host)


def _bury(filesystem: FileSystem, path: str) -> None:
    """Make a claim void for ever: its process may only have stood still, and write it again.

    Its folder first, so that it is done whoever is stopped in the middle: a claim without the mark is looked at again.
    """
    if path.endswith(f"/{_EARLIER}"):
        delete_if_there(filesystem, path)
        return
    taken = f"{_own(path)}{_VOID}"
    if moves(filesystem):
        with suppress(FileNotFoundError):
            filesystem.move(_own(path), taken)
    atomic_write(filesystem, path + _VOID, b"")
    with suppress(OSError):  # left over: what its holder was writing
        filesystem.delete_dir(taken)


def _latest(filesystem: FileSystem, folder: str) -> datetime:
    """How late, by its own clock, another machine whose claim is void may have stamped what gets here yet."""
    if moves(filesystem):
        return EVER  # nothing does
    marks = (file.path for file in listed(filesystem, folder) if file.path.endswith(f".json{_VOID}"))
    claims = (_read(filesystem, path.removesuffix(_VOID)) for path in marks)
    elsewhere = (claim for claim in claims if claim is not None and not _is_here(claim))
    return max((datetime.fromtimestamp(claim.renewed_at, UTC) + _LATE for claim in elsewhere), default=EVER)


def _own(path: str) -> str:
    """The folder of a claim's holder."""
    return path.removesuffix(".json")


def _is_void(filesystem: FileSystem, path: str) -> bool:
    return bool(filesystem.get_file_info(path + _VOID).type == FileType.File)


def _read(filesystem: FileSystem, path: str) -> Claim | None:
    """A claim; None where the file is gone, none of ours, or half of one."""
    if filesystem.get_file_info(path).type != FileType.File:
        return None
    try:
        with filesystem.open_input_file(path) as stream:
            return Claim.model_validate_json(stream.read())
    except (OSError, ValidationError):
        return None
