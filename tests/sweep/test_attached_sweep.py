"""A cluster that runs already: two workers per trial on it, and what is refused within seconds."""

import socket
import time
from pathlib import Path

import pytest

from bissl_ray.store import read_trials, to_rows
from tests.cli.command import checkpoint, run, tiny_space
from tests.conftest import RunningCluster

pytestmark = pytest.mark.ray


def test_two_workers_per_trial_on_an_attached_cluster(cluster: RunningCluster, tmp_path: Path) -> None:
    space = tiny_space(tmp_path, protocol={"trials": 4, "finalists": 1})
    done = run(
        *("sweep", "--pretrained", checkpoint(tmp_path), "--space", space, "--name", "attached"),
        *("--workers-per-trial", "2", "--address", cluster.address),
        cwd=tmp_path,
        **cluster.token,
    )
    assert done.code == 0, done
    assert cluster.address in done.out
    rows = to_rows(read_trials(tmp_path / "runs"))
    assert {row["workers"] for row in rows} == {2}
    assert {row["status"] for row in rows} <= {"complete", "pruned"}
    assert {row["phase"] for row in rows if row["test_metric"] is not None} == {"confirm", "control"}


def test_ray_address_is_taken(cluster: RunningCluster, tmp_path: Path) -> None:
    done = run("sweep", "--workers-per-trial", "4", cwd=tmp_path, RAY_ADDRESS=cluster.address, **cluster.token)
    assert done.code == 2 and "need 4 CPUs" in done.err and cluster.address in done.err
    assert not (tmp_path / "runs/sweeps").exists()


def test_a_dry_run_refuses_as_a_sweep_does_and_sees_the_clusters_data(cluster: RunningCluster, tmp_path: Path) -> None:
    there = {"RAY_ADDRESS": cluster.address, **cluster.token}
    refused = run("sweep", "--dry-run", "--workers-per-trial", "4", cwd=tmp_path, **there)
    assert refused.code == 2 and "need 4 CPUs" in refused.err and cluster.address in refused.err
    missing = run("sweep", "--dry-run", "--dataset", "cars", "--pretrain", "--data-dir", "none", cwd=tmp_path, **there)
    assert missing.code == 2 and missing.err.startswith("bissl-ray: on the cluster: "), missing
    seen = run("compare", "--dry-run", "--pretrain-epochs", "1", cwd=tmp_path, **there)
    assert seen.code == 0 and "data: 10 classes" in seen.out, seen
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("token", [{}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 64}])
def test_missing_or_wrong_token(cluster: RunningCluster, tmp_path: Path, token: dict[str, str]) -> None:
    done = run("sweep", "--address", cluster.address, cwd=tmp_path, HOME=str(tmp_path), **token)
    assert done.code == 2, done
    assert "token" in done.err and "RAY_AUTH_TOKEN" in done.err and done.err.count("\n") == 1


def test_wrong_address(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = run("sweep", "--address", f"127.0.0.1:{port}", cwd=tmp_path)
    assert done.code == 2 and f"nothing answers at 127.0.0.1:{port}" in done.err


def test_something_else_listens_there(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        begin = time.monotonic()
        done = run("sweep", "--address", f"127.0.0.1:{other.getsockname()[1]}", cwd=tmp_path)
    assert done.code == 2 and "no Ray cluster could be joined" in done.err, done
    assert time.monotonic() - begin < 60, "that is for ever, to a person"
