"""Whether a process works in a folder of a storage, for who looks again and again and never waits."""

from bissl_ray.store.filesystem import open_storage
from bissl_ray.store.lock import LEASE_S, Claim, claims_on, runs_here
from bissl_ray.world import world


class Holder:
    """Looks at the claims on a folder (`store.lock`); writes nothing.

    A process of this machine works for as long as it lives. One of another does for as long as its claim is renewed, as
    seen from here: it is taken to be at work until it has not been for as long as whoever wants the folder would wait.
    """

    def __init__(self, storage: str, folder: str) -> None:
        """Set up.

        Args:
            storage: absolute.
            folder: relative to it.
        """
        self._filesystem, base = open_storage(storage)
        self._path = f"{base}/{folder}"
        self._renewed: dict[str, tuple[int, float]] = {}

    def look(self) -> tuple[str, Claim] | None:
        """The claim of who works there, with its path; None: nobody does.

        Raises:
            OSError: the storage refuses.
        """
        alive = {
            path: claim
            for path, claim in claims_on(self._filesystem, self._path).items()
            if self._is_alive(path, claim)
        }
        # Who has gone in before who wants to.
        return min(alive.items(), key=lambda each: (not each[1].holding, each[0]), default=None)

    def _is_alive(self, path: str, claim: Claim) -> bool:
        here = runs_here(claim)
        if here is not None:
            return here
        now = world().monotonic()
        beat, since = self._renewed.get(path, (None, now))
        if beat != claim.beat:
            since = now
        self._renewed[path] = (claim.beat, since)
        return now - since <= LEASE_S
