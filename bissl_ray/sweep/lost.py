"""What a sweep that goes on does about rows that are lost, and says of it."""

from collections.abc import Iterator

from bissl_ray.search.lost import Lost
from bissl_ray.search.planner import Planner
from bissl_ray.store.paths import trial_folder
from bissl_ray.training.files import exists, progress_file, remove_file


def take_up(lost: Lost, planner: Planner, storage: str, sweep: str) -> Iterator[str]:
    """Let trials begin anew whose reports are not all there.

    Args:
        lost: what is.
        planner: knows what goes on.
        storage: absolute.
        sweep: its name.

    Yields:
        A line for each file that can't be read, and one that says which trials run again for it.

    Raises:
        OSError: the storage refuses.
    """
    open_now = planner.ledger.open
    files = {name: progress_file(trial_folder(sweep, name)) for name in {*open_now, *lost.anew}}
    had_begun = {name for name, record in open_now.items() if record.curve or record.objective is not None}
    ended = {name for name in had_begun if not exists(storage, files[name])} if lost.damaged else set()
    for name, missing in lost.anew.items():
        remove_file(storage, files[name])
        if not lost.damaged:
            yield f"{name} runs again from the beginning: {missing}"
    for damaged in lost.damaged:
        yield damaged.line
    again = sorted({*lost.anew, *ended, *([] if planner.finished else lost.followed)})
    said = [f"run again from the beginning: {', '.join(again)}"] if again else []
    explored, asked = planner.explored
    if lost.explored and planner.exploring and explored < asked:
        said.append(f"are replaced by other trials: {', '.join(lost.explored)}")
    if lost.damaged:
        yield f"because of that {'; '.join(said or ['nothing runs again that has left any trace'])}"
