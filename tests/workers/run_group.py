"""A process with a cluster and one worker group of its own; test_group.py starts it.

Arguments: a storage folder, a search space, workers. Prints what became of each trial, as JSON.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from bissl_ray.workers import environment

environment.prepare(None)

import ray  # noqa: E402
import torch  # noqa: E402

from bissl_ray.config import load_search_space  # noqa: E402
from bissl_ray.config.data_choice import DataChoice  # noqa: E402
from bissl_ray.progress import Alive, Report  # noqa: E402
from bissl_ray.training import files  # noqa: E402
from bissl_ray.training.models import Models  # noqa: E402
from bissl_ray.training.order import Order  # noqa: E402
from bissl_ray.workers.cluster import connected  # noqa: E402
from bissl_ray.workers.group import WorkerGroup  # noqa: E402

storage, space, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = load_search_space(space).settings({"alternations": 6})
torch.manual_seed(0)
files.write_tensors(
    storage, "start.pt", {"backbone": Models.build(settings, torch.device("cpu")).content()["backbone"]}
)
order = Order(
    trial="good",
    data=DataChoice("digits"),
    storage=storage,
    sweep="s",
    settings=settings,
    seed=1,
    stages=("head", "bissl"),
    start="start.pt",
)


def changed(trial, start="start.pt", **values):
    return order.model_copy(update={"trial": trial, "start": start, "settings": settings.model_copy(update=values)})


diverging = changed("diverging", upper_lr=1e30, clip_norm=None)
suffering = changed("suffering", damping=0.0, proximity_weight=1e-4, cg_iterations=3, unsolved_alternations=2)
absent = changed("absent", start="nowhere.pt")


def train_workers():
    """Processes of this cluster's train workers: those whose environment has our mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title, marks = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            if title.startswith(b"ray::RayTrainWorker") and f"BISSL_TEST={os.environ['BISSL_TEST']}".encode() in marks:
                found.append(int(folder.name))
    return found


def run(group, tag, order, kill_after=None):
    group.hand_out(tag, order)
    reports, saved = [], None
    while isinstance(message := group.next_message(tag), Alive | Report):
        if isinstance(message, Alive):
            continue
        reports.append(message.row["alternation"])
        if len(reports) == kill_after:
            # Its checkpoint of this alternation comes after the answer; one more report and it is there.
            os.kill(train_workers()[0], signal.SIGKILL)
        if kill_after is not None and len(reports) == kill_after + 1:
            # What it went on from: nothing is saved between a report and its answer.
            saved = files.SavedProgress(storage, order.folder).load()["state"]["alternations"]
        group.answer(tag, "continue")
    return {"kind": message.how, "reports": reports, "reason": message.reason, "saved": saved, **message.result}


with connected(None, workers > 1) as cluster:
    group = WorkerGroup(cluster.shape(workers, storage + "/ray"), "test")
    told = {"first": run(group, "1", order)}
    told["named"] = ray.get(ray.remote(num_cpus=0)(os.getenv).remote("RAY_ADDRESS"))
    told["connected"] = ray.get_runtime_context().gcs_address
    told["diverging"] = run(group, "2", diverging)
    before = train_workers()
    told["suffering"] = run(group, "suffering", suffering)
    told["restarted"] = train_workers() != before
    told["absent"] = run(group, "3", absent)
    told["again"] = run(group, "4", changed("again"))
    if workers > 1:
        told["killed"] = run(group, "5", changed("killed"), kill_after=3)
        told["after"] = run(group, "6", changed("after"))
    group.close()
    sys.stdout.write(json.dumps(told) + "\n")
