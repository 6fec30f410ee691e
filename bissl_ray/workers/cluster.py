"""Join the Ray cluster that is there, or start one on this machine, and see what fits on it."""

import functools
import logging
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

import ray
from ray._private import services
from ray._private import utils as ray_utils
from ray.util.client import ray as client

from bissl_ray.data.machine import processors
from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.workers import environment, ray_log, watch
from bissl_ray.workers.address import NO_CLIENT
from bissl_ray.workers.environment import as_code, modules_of_this_process, name_the_cluster, worker_environment
from bissl_ray.workers.nodes import nodes_now
from bissl_ray.workers.own_processes import Started, last_words
from bissl_ray.workers.own_ray import object_store, ray_folder, sockets_of_daemons
from bissl_ray.workers.shape import Cluster
from bissl_ray.workers.shipped import py_modules

Say = Callable[[str], None]

_OURS: Final[list[str]] = []
"""What the cluster is called that this package has connected the process to; nothing where somebody else has."""
_SLOW_S: Final = 20.0
_TRIES: Final = 2


@contextmanager
def connected(
    address: str | None, several: bool, say: Say = lambda _: None, cpus: int | None = None
) -> Iterator[Cluster]:
    """Connect for the duration of a `with` block, then disconnect (and end a cluster of our own).

    A process that is connected to Ray already stays as it is.

    Args:
        address: "auto", "host:port", which `environment.prepare` has found to answer; None for a local cluster on
            127.0.0.1.
        several: whether several workers may work together.
        say: takes a line for a person who waits.
        cpus: that a local cluster says it has; None: those of the machine.

    Raises:
        BadInputError: the process is a Ray client.
        RunFailedError: Ray does not start, or lets no one in, and nothing of it is left running; or the cluster that
            the process is connected to is gone.
    """
    warnings.filterwarnings("ignore", module="ray")
    if ray.is_initialized():
        if client.is_connected():
            raise BadInputError(f"this process is a Ray client: {NO_CLIENT}")
        if (reason := watch.lost()) is not None:
            raise RunFailedError(f"the cluster is gone: {reason}")
        yield Cluster(_OURS[-1] if _OURS else "the cluster that this process is connected to", nodes_now())
        return
    with ray_log.ray_log():
        if address is None:
            with _of_our_own(several, say, cpus), _known_as("this machine") as where:
                yield Cluster(where, nodes_now())
        else:
            name = "the cluster on this machine" if address == "auto" else f"the cluster at {address}"
            with _joined(name, address, say), _known_as(name) as where:
                yield Cluster(where, nodes_now())


@contextmanager
def _known_as(where: str) -> Iterator[str]:
    _OURS.append(where)
    try:
        yield where
    finally:
        _OURS.remove(where)


@contextmanager
def _of_our_own(several: bool, say: Say, cpus: int | None) -> Iterator[None]:
    # Ray Train's placement-group cleaner asks the State API, which the dashboard serves.
    options: dict[str, str | int] = {"address": "local", "num_cpus": cpus or processors(), "include_dashboard": several}
    with ray_folder() as folder, ExitStack() as ends:
        started = Started(folder)
        ends.callback(started.end)
        ends.callback(watch.disconnect)
        for left in reversed(range(_TRIES)):
            try:
                with sockets_of_daemons(folder), started.starting(), _told_if_slow(say, "Ray is slow to start"):
                    _connect({}, **options, _temp_dir=folder, **object_store(folder))
                break
            except Exception as error:
                ray_log.write(f"{traceback.format_exc()}\n{last_words(f'{folder}/session_latest/logs')}")
                ray.shutdown()
                started.end()
                if not left:
                    raise RunFailedError(
                        f"Ray did not start on this machine in {_TRIES} tries ({_gist(error)}); nothing of it is left "
                        f"running{ray_log.pointer()}. Try again, with fewer processes beside it; or start it yourself, "
                        "with `ray start --head`, and give --address auto"
                    ) from None
                say(f"Ray did not start ({_gist(error)}): once more")
        yield


@contextmanager
def _joined(name: str, address: str, say: Say) -> Iterator[None]:
    with ExitStack() as ends:
        ends.callback(watch.disconnect)
        try:
            with _told_if_slow(say, f"{name} is slow to let this process in"), py_modules() as code:
                _connect({"py_modules": code}, address=address)
        except Exception as error:
            ray_log.write(traceback.format_exc())
            raise RunFailedError(
                f"{name} answered, and then did not let this process in ({_gist(error)}){ray_log.pointer()}. "
                "Look at it with `ray status` on its head node, and try again"
            ) from None
        yield


def _connect(runtime_env: Mapping[str, object], **options: str | int) -> None:
    """Connect, with Ray's own messages silenced.

    Args:
        runtime_env: what the job's processes get beyond settings.
        options: of `ray.init`.
    """
    # A machine without this package is to say so when it is asked, and not to end each process that it starts.
    with modules_of_this_process(), _signals_of_our_own(), as_code(environment):
        ray.init(
            **options,
            logging_level=logging.WARNING,
            log_to_driver=False,
            configure_logging=False,
            runtime_env={
                "env_vars": worker_environment(),
                "worker_process_setup_hook": name_the_cluster,
                **runtime_env,
            },
        )
    ray_log.take_loggers()


@contextmanager
def _signals_of_our_own() -> Iterator[None]:
    """Connect inside this `with` block: Ray leaves SIGTERM's handler alone, and no signal to this process ends its own.

    Were its daemons of this one's group, what goes to all of it, as from a terminal that is closed, would end them
    before this one can stop in order.
    """
    setter, opener = ray_utils.set_sigterm_handler, services.ConsolePopen
    ray_utils.set_sigterm_handler = lambda _: None
    services.ConsolePopen = functools.partial(opener, start_new_session=True)
    try:
        yield
    finally:
        ray_utils.set_sigterm_handler, services.ConsolePopen = setter, opener


@contextmanager
def _told_if_slow(say: Say, what: str) -> Iterator[None]:
    waited = threading.Timer(_SLOW_S, say, [f"{what}: {_SLOW_S:.0f} s so far, and it has a minute{ray_log.pointer()}"])
    waited.daemon = True
    waited.start()
    try:
        yield
    finally:
        waited.cancel()


def _gist(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200].rstrip('.')}" if text else type(error).__name__
