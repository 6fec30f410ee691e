"""What a sweep that goes on does about rows that are lost, and says of it."""

from collections.abc import Iterator

from bissl_ray.search.history import Replayed, runs_again
from bissl_ray.store.paths import trial_folder
from bissl_ray.training.files import exists, progress_file, remove_file


def take_up(replayed: Replayed, storage: str, sweep: str) -> Iterator[str]:
    """Let trials begin anew that are to.

    Args:
        replayed: the sweep as it goes on.
        storage: absolute.
        sweep: its name.

    Yields:
        A line for each file that can't be read, and one that says which trials run again for it.

    Raises:
        OSError: the storage refuses.
    """

    def file(name: str) -> str:
        return progress_file(trial_folder(sweep, name))

    lost = replayed.lost
    again, replaced = runs_again(replayed, lambda name: exists(storage, file(name)))
    for name, missing in lost.anew.items():
        remove_file(storage, file(name))
        if not lost.damaged:
            yield f"{name} runs again from the beginning: {missing}"
    for damaged in lost.damaged:
        yield damaged.line
    said = [f"run again from the beginning: {', '.join(again)}"] if again else []
    said += [f"are replaced by other trials: {', '.join(replaced)}"] if replaced else []
    if lost.damaged:
        yield f"because of that {'; '.join(said or ['nothing runs again that has left any trace'])}"
