"""Pictures of what a model makes of some images, in the storage."""

import io

from bissl_ray.data.sampling import evenly_spread
from bissl_ray.store.filesystem import atomic_write, open_storage
from bissl_ray.training.trial import Trial


def draw_pictures(trial: Trial, split: str, count: int) -> list[str]:
    """Draw images that are spread evenly over a split, by the task's own `picture`; the chief's business alone.

    Args:
        trial: its models and data.
        split: "validation", or "test" for a run that may look there.
        count: how many; all where there are fewer.

    Returns:
        PNG files, relative to the storage; on other workers than the chief none.
    """
    if not trial.worker.is_chief:
        return []
    part, task = getattr(trial.data.splits, split), trial.models.downstream
    names = trial.data.splits.class_names or tuple(map(str, range(trial.data.splits.classes or 0)))
    filesystem, base = open_storage(trial.order.storage)
    folder = f"{trial.order.folder}/pictures"
    filesystem.create_dir(f"{base}/{folder}", recursive=True)
    files = []
    for index in evenly_spread(min(count, len(part)), len(part)):
        image, target = part[index]
        with trial.autocast():
            drawing = task.picture(trial.models.lower, image, target, trial.data.spec, names)
        if drawing is None:
            break
        content = io.BytesIO()
        drawing.save(content, "PNG")
        files.append(f"{folder}/{split}-{index:05d}.png")
        atomic_write(filesystem, f"{base}/{files[-1]}", content.getvalue())
    return files
