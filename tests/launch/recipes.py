"""Recipes of launch/ as their users run them, on machines that are namespaces; each ends in doctor and a sweep."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bissl_ray.config.space_files import resource_dir
from tests.cli.command import tiny_space
from tests.launch.machines import Machine, machines, until

LAUNCH: Final = resource_dir("launch")
PROGRAMS: Final = Path(sys.executable).parent
_CGROUP: Final = (
    "mount -t tmpfs tmpfs /sys/fs/cgroup && cd /sys/fs/cgroup && mkdir freezer && "
    "mount -t cgroup -o freezer cgroup freezer"
)
_DOCTOR: Final = "bissl-ray doctor --only machines"
_WITHOUT_GPUS: Final = ("#SBATCH --gpus-per-node=4\n", "")


def _environment(**extra: str) -> dict[str, str]:
    """A person's on a machine where bissl-ray is installed."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM_"))}
    return {**known, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", **extra}


def smoke(machine: Machine, folder: Path, address: str, **extra: str) -> str:
    """Doctor and a sweep of digits, attached from a machine; what the doctor and the sweep said.

    Raises:
        AssertionError: either was not content.
    """
    tiny_space(folder)
    said = ""
    for command in (_DOCTOR.split(), ["bissl-ray", "sweep", "--space", "tiny.yaml", "--name", "digits"]):
        done = subprocess.run(
            machine.inside(["env", "--chdir", folder, *command, "--address", address, "--storage", folder / "runs"]),
            env=_environment(**extra),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        said += done.stdout
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    return said


@contextmanager
def started(machine: Machine, command: list[object], log: Path, **extra: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A command runs on a machine for the duration of the block, and is then told to end."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            machine.inside(command),
            env=_environment(**extra),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def one_machine(folder: Path) -> str:
    """one_machine.sh, and its users beside it."""
    with machines(1) as (machine,):
        home = {"HOME": str(folder)}
        with started(machine, ["bash", LAUNCH / "one_machine.sh"], folder / "one.log", **home) as cluster:
            until(cluster, machine.inside(["bash", "-c", "exec 3<> /dev/tcp/127.0.0.1/6379"]))
            there = {**home, "RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
            return smoke(machine, folder, "127.0.0.1:6379", **there)


def several_machines(folder: Path) -> str:
    """several_machines.sh over real ssh: a head and two others."""
    ssh = _ssh(folder)
    home = {"HOME": str(folder), "PATH": f"{folder}/bin:{PROGRAMS}:{os.environ['PATH']}"}
    with machines(3) as (head, *others):
        for other in others:
            subprocess.run(other.inside(["mkdir", "-p", "/run/sshd"]), check=True)
            subprocess.run(other.inside([shutil.which("sshd") or "/usr/sbin/sshd", "-f", ssh]), check=True)
        recipe = ["bash", LAUNCH / "several_machines.sh", head.address, *(other.address for other in others)]
        with started(head, recipe, folder / "several.log", **home) as cluster:
            there = {**home, "RAY_AUTH_MODE": "token"}
            status = head.inside(["ray", "status", "--address", f"{head.address}:6379"])
            joined = ["env", *(f"{name}={value}" for name, value in there.items()), "bash", "-c"]
            count = f"{' '.join(status)} 2> /dev/null | grep -c ' node_' | grep -qx 3"
            until(cluster, [*joined, count])
            said = smoke(head, folder, f"{head.address}:6379", **there)
        for other in others:  # what it started there ends: Ray drains for half a minute before it goes
            until(None, other.inside(["sh", "-c", "! pgrep raylet"]), seconds=120)
    return said


def _ssh(folder: Path) -> Path:
    """Keys, a server's configuration and a client that uses them; the path of the server's."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "bin").mkdir()
    client = folder / "bin" / "ssh"
    options = f"-i {folder}/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    client.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {options} "$@"\n')
    client.chmod(0o755)
    server = folder / "sshd_config"
    lines = (f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/user.pub", "StrictModes no", "UsePAM no")
    server.write_text("\n".join((*lines, "PermitRootLogin yes", "PidFile none")) + "\n")
    return server


def slurm(folder: Path) -> str:
    """slurm.sbatch on a real Slurm of two nodes, submitted, ended early, and submitted again."""
    tiny_space(folder)
    recipe = (LAUNCH / "slurm.sbatch").read_text()
    for old, new in (
        _WITHOUT_GPUS,
        ("--cpus-per-task=16", "--cpus-per-task=2"),
        ("--dataset digits --trials 32", "--space tiny.yaml"),
        ("\nknown=", f'\n{_DOCTOR} --address "$address" --storage "$STORAGE"\nknown='),
        ("\nport=", f'\nexport PATH="{PROGRAMS}:$PATH" HOME="{folder}" OMP_NUM_THREADS=1\nport='),
    ):
        assert old in recipe, old
        recipe = recipe.replace(old, new)
    (folder / "slurm.sbatch").write_text(recipe)
    with machines(2) as both, _slurm(folder, both) as there:

        def do(*command: object) -> str:
            inside = both[0].inside(["env", "--chdir", folder, *command])
            return subprocess.run(inside, env=there, check=True, capture_output=True, text=True).stdout

        job = do("sbatch", "--parsable", "slurm.sbatch").strip()
        log = folder / f"bissl-ray-{job}.log"
        _until_said(log, "exploring: 2 of")
        do("scancel", "--signal=TERM", "--batch", job)
        _until_ended(do, job)
        assert "stopped before the sweep was finished; go on with: sbatch slurm.sbatch" in log.read_text(), (
            log.read_text()
        )
        again = do("sbatch", "--parsable", "slurm.sbatch").strip()
        _until_ended(do, again)
        said = (folder / f"bissl-ray-{again}.log").read_text()
        assert "for plain fine-tuning" in " ".join(said.split()), said
        assert not [*(folder / ".ray").glob("token-*")], "a token is left"
        return log.read_text() + said


def _until_said(log: Path, words: str, seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not (log.exists() and words in log.read_text()):
        assert time.monotonic() < deadline, log.read_text() if log.exists() else log
        time.sleep(0.5)


def _until_ended(do: Callable[..., str], job: str, seconds: float = 400.0) -> None:
    deadline = time.monotonic() + seconds
    while do("squeue", "--noheader", "--jobs", job).strip():
        assert time.monotonic() < deadline, job
        time.sleep(1)


@contextmanager
def _slurm(folder: Path, both: list[Machine]) -> Iterator[dict[str, str]]:
    """slurmctld and munged on the first, slurmd on each; the environment of who uses it."""
    first = both[0]
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    lines = [
        "ClusterName=test",
        f"SlurmctldHost={first.name}({first.address})",
        "SlurmUser=root",
        "AuthType=auth/munge",
        "AuthInfo=socket=/run/munge.socket",
        "CredType=cred/munge",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SelectType=select/cons_tres",
        "MpiDefault=none",
        "ReturnToService=2",
        f"StateSaveLocation={folder}/state",
        "SlurmdSpoolDir=/run/slurmd",
        "SlurmctldPidFile=/run/slurmctld.pid",
        "SlurmdPidFile=/run/slurmd.pid",
        f"SlurmctldLogFile={folder}/slurmctld.log",
        f"SlurmdLogFile={folder}/slurmd-%h.log",
        *(f"NodeName={each.name} NodeAddr={each.address} CPUs=2 RealMemory=4000 State=UNKNOWN" for each in both),
        f"PartitionName=all Nodes={','.join(each.name for each in both)} Default=YES State=UP OverSubscribe=YES",
    ]
    configuration = folder / "slurm.conf"
    configuration.write_text("\n".join(lines) + "\n")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    there = _environment(SLURM_CONF=str(configuration))

    def daemon(machine: Machine, *command: object) -> None:
        done = subprocess.run(machine.inside(command), env=there, capture_output=True, text=True, check=False)
        logs = [log.read_text()[-2000:] for log in folder.glob("slurm*.log")]
        assert done.returncode == 0, (command, done.stderr, *logs)

    for machine in both:
        daemon(machine, "chmod", "755", "/run")
        daemon(machine, "mkdir", "/run/slurmd")
        daemon(machine, "sh", "-c", _CGROUP)  # slurmd insists on one
        daemon(
            machine,
            *("munged", "--key-file", key, "--socket", "/run/munge.socket", "--force", "--pid-file", "/run/munged.pid"),
            *("--seed-file", "/run/munged.seed", "--log-file", "/run/munged.log"),
        )
    daemon(first, "slurmctld")
    for machine in both:
        daemon(machine, "slurmd")
    until(None, ["env", f"SLURM_CONF={configuration}", *first.inside(["sh", "-c", "sinfo -h -o %t | grep -qx idle"])])
    yield there


def cut_off(folder: Path) -> str:
    """No recipe: of three machines the network of one goes away in mid-sweep, and no connection is closed."""
    there = {"HOME": str(folder), "RAY_AUTH_MODE": "token"}
    tiny_space(folder, fixed={"lower_steps": 40}, protocol={"trials": 8})

    def ray(machine: Machine, *asked: object) -> "AbstractContextManager[subprocess.Popen[bytes]]":
        begin = ("env", "-u", "OMP_NUM_THREADS", PROGRAMS / "ray", "start", "--block", "--num-cpus", 1)
        return started(machine, [*begin, *asked], folder / f"{machine.name}.log", **there)

    with machines(3) as (head, second, third), ExitStack() as stack:
        subprocess.run(head.inside(["ray", "get-auth-token", "--generate"]), env=_environment(**there), check=True)
        cluster = stack.enter_context(ray(head, "--head", "--node-ip-address", head.address, "--port", 6379))
        until(cluster, head.inside(["bash", "-c", f"exec 3<> /dev/tcp/{head.address}/6379"]))
        for other in (second, third):
            stack.enter_context(ray(other, "--address", f"{head.address}:6379", "--node-ip-address", other.address))
        asked = ["sweep", "--space", "tiny.yaml", "--name", "cut", "--address", f"{head.address}:6379"]
        log = folder / "sweep.log"
        time.sleep(20)
        sweep = ["env", "--chdir", folder, "bissl-ray", *asked, "--storage", folder / "runs"]
        driver = stack.enter_context(started(head, sweep, log, **there))
        _until_said(log, "exploring: 2 of")
        third.cut_off()
        begin = time.monotonic()
        _until_said(log, "it goes on in another")
        after = time.monotonic() - begin
        assert driver.wait(600) == 0, log.read_text()
        return f"{log.read_text()}\nit went on after {after:.0f} s"


RECIPES: Final[Mapping[str, Callable[[Path], Any]]] = {
    "one_machine.sh": one_machine,
    "several_machines.sh": several_machines,
    "slurm.sbatch": slurm,
    "cut-off": cut_off,
}
