"""The recipes are sound as far as that can be seen without Slurm, Kubernetes or a cloud."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bissl_ray.config.space_files import resource_dir

LAUNCH = resource_dir("launch")
SHELL = ("one_machine.sh", "several_machines.sh", "slurm.sbatch")
CLOUDS = ("aws.yaml", "gcp.yaml")


def load(name: str) -> dict[str, Any]:
    document = yaml.safe_load((LAUNCH / name).read_text())
    assert isinstance(document, dict)
    return document


def all_text(value: object) -> str:
    """Every key and value of a document as it is after parsing, so without comments."""
    return json.dumps(value)


@pytest.mark.parametrize("name", SHELL)
def test_shell_recipe_is_valid_bash(name: str) -> None:
    assert subprocess.run(["bash", "-n", str(LAUNCH / name)], capture_output=True).stderr == b""


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", SHELL)
def test_shell_recipe_passes_shellcheck(name: str) -> None:
    found = subprocess.run(["shellcheck", "--shell=bash", "--severity=warning", str(LAUNCH / name)], text=True)
    assert found.returncode == 0


def test_shell_recipes_never_stop_every_ray_of_a_machine() -> None:
    for name in SHELL:
        code = [line for line in (LAUNCH / name).read_text().splitlines() if not line.lstrip().startswith("#")]
        assert not [line for line in code if re.search(r"\bray stop\b|\bpkill\b|\bkillall\b", line)]


def test_slurm_directives_come_before_the_first_command() -> None:
    # sbatch reads no directive below the first line that is neither empty nor a comment.
    lines = (LAUNCH / "slurm.sbatch").read_text().splitlines()
    first_command = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [i for i, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert len(directives) >= 5
    assert max(directives) < first_command
    options = {lines[i].split("--", 1)[1].split("=")[0] for i in directives}
    assert {"nodes", "ntasks-per-node", "cpus-per-task", "gpus-per-node", "time", "signal"} <= options


@pytest.mark.parametrize("name", CLOUDS)
def test_cloud_recipe_satisfies_rays_own_schema(name: str) -> None:
    found = importlib.util.find_spec("ray")
    assert found is not None and found.origin is not None
    schema = json.loads((Path(found.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    document = load(name)
    jsonschema.validate(document, schema)
    assert document["head_node_type"] in document["available_node_types"]
    # A sweep divides the cluster as it finds it, so all machines are there from the start.
    worker = document["available_node_types"]["worker"]
    assert worker["min_workers"] == worker["max_workers"] == document["max_workers"]
    assert "--env RAY_AUTH_MODE=token" in document["docker"]["run_options"]
    assert document["file_mounts"] == {"/home/ray/.ray/auth_token": "~/.ray/auth_token"}


def test_kubernetes_recipe_is_a_rayjob_with_a_token_and_shared_storage() -> None:
    document = load("kubernetes.yaml")
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", "RayJob")
    spec = document["spec"]["rayClusterSpec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert tuple(map(int, spec["rayVersion"].split("."))) >= (2, 52, 0)  # KubeRay refuses authOptions below
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert set(mounts) == volumes
        assert mounts["shared"] == "/shared"


def test_kubernetes_entrypoint_resumes_a_sweep_that_is_there(tmp_path: Path) -> None:
    """The entry point's own shell, with a stand-in for bissl-ray that says how it was called."""
    stand_in = tmp_path / "bissl-ray"
    stand_in.write_text("#!/bin/sh\necho $1\n")
    stand_in.chmod(0o755)
    storage = tmp_path / "runs"
    entrypoint = load("kubernetes.yaml")["spec"]["entrypoint"].replace("/shared/runs", str(storage))

    def run() -> str:
        path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(LAUNCH.parent)}
        return subprocess.run(entrypoint, shell=True, env=environment, capture_output=True, text=True).stdout.strip()

    storage.mkdir()
    assert run() == "sweep"
    (storage / "sweeps" / "digits").mkdir(parents=True)
    (storage / "sweeps" / "digits" / "sweep.json").write_text("{}")
    assert run() == "resume"


@pytest.mark.parametrize("name", ("kubernetes.yaml", *CLOUDS))
def test_every_placeholder_is_explained_at_the_top(name: str) -> None:
    text = (LAUNCH / name).read_text()
    top = text[: re.search(r"^[^#\n]", text, re.MULTILINE).start()]  # type: ignore[union-attr]
    explained = set(re.findall(r"^#   ([A-Z]{3,})\s{2,}", top, re.MULTILINE))
    values = re.findall(r"(?<![\w$-])[A-Z]{3,}(?![\w-])", all_text(load(name)))
    used = set(values) - {"CPU", "GPU", "PERSISTENT", "TERMINATE"}  # the clouds' own words
    assert used <= explained
    for word in explained:
        assert len(re.findall(rf"\b{word}\b", text)) >= 2, f"{word} is explained and not used"


def test_the_page_names_every_recipe() -> None:
    page = (LAUNCH / "README.md").read_text()
    for path in LAUNCH.iterdir():
        if path.name != "README.md":
            assert f"**{path.name}**" in page
