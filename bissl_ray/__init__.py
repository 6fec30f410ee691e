"""bissl-ray: hyperparameter sweeps for BiSSL, distributed by Ray."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bissl_ray.store import load_trials
    from bissl_ray.sweep.run import resume_sweep, run_sweep

__all__ = ["load_trials", "resume_sweep", "run_sweep"]

_HOMES = {
    "load_trials": "bissl_ray.store",
    "run_sweep": "bissl_ray.sweep.run",
    "resume_sweep": "bissl_ray.sweep.run",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `bissl-ray --help` and the board need neither torch nor Ray."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
