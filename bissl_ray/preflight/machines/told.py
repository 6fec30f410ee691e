"""What a machine tells of itself. Goes to it as code, for it may lack this package: the standard library alone.

`importlib.metadata` names versions without importing anything, and a process of its own looks at the GPUs: a CUDA
context takes half a gigabyte for as long as its process lives, and Ray keeps processes for the next task.
"""

from typing import Any

PACKAGES = ("ray", "torch", "torchvision", "optuna", "pyarrow", "bissl-ray")
"""Those whose versions are told of every machine, and should be the same."""

GPUS_S = 150.0
"""Patience for what `gpus` tells, seconds: torch is imported anew, and each card woken."""
_GPUS = """
import json, torch
found = []
for number in range(torch.cuda.device_count()):
    has = torch.cuda.get_device_properties(number)
    try:
        works = bool(torch.ones(8, 8, device=number).mm(torch.ones(8, 8, device=number)).sum() == 512)
    except Exception as error:
        works = " ".join(str(error).split())[:200]
    found.append({"name": has.name, "memory": has.total_memory, "works": works})
print(json.dumps({"cuda": torch.version.cuda, "gpus": found}))
"""


def told(needed: "tuple[str, ...]" = ()) -> dict[str, Any]:
    """Time, versions, the package's own files, shared memory and disk; nothing is started or written.

    Args:
        needed: further packages whose versions are told.
    """
    import platform
    import tempfile
    import time

    temporary = tempfile.gettempdir()
    return {
        "time": time.time(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in (*PACKAGES, *needed)},
        **_package(),
        "shm": _disk("/dev/shm"),
        "temporary": temporary,
        "disk": _disk(temporary),
    }


def gpus() -> dict[str, Any]:
    """What torch makes of this machine's GPUs: "cuda", "gpus" with name, memory in bytes and whether one works.

    "failure": torch could not be asked, in words.
    """
    import json
    import subprocess
    import sys

    try:
        done = subprocess.run([sys.executable, "-c", _GPUS], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            return dict(json.loads(done.stdout.splitlines()[-1]))
        lines = done.stderr.strip().splitlines()
        return {"failure": lines[-1][:200] if lines else f"it ended with code {done.returncode}"}
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return {"failure": " ".join(str(error).split())[:200]}


def _version(name: str) -> "str | None":
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _package() -> dict[str, Any]:
    """Where the package is imported from, and a digest of its code: two checkouts may have one version."""
    import hashlib
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("bissl_ray")
    if spec is None or spec.origin is None:
        return {"package": None, "code": None}
    folder = Path(spec.origin).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return {"package": str(folder), "code": digest.hexdigest()[:12]}


def _disk(folder: str) -> "dict[str, int] | None":
    import shutil

    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return {"total": usage.total, "free": usage.free}
