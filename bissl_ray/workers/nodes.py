"""The machines of a connected cluster as they are now: what they have, which are about to go, what lives on which."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import ray
from ray._private.state import state
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bissl_ray.workers.shape import Node


def this_node() -> str:
    """The node of this process."""
    return str(ray.get_runtime_context().get_node_id())


def on_this_node() -> dict[str, Any]:
    """Options of an actor that takes nothing and lives where this process does: no other machine takes it along."""
    return {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(this_node(), soft=False)}


class Machine(NamedTuple):
    """A machine of the cluster.

    Attributes:
        id: what Ray calls it.
        name: for a person: its host's, with the beginning of `id` where several have that.
        node: what it has.
    """

    id: str
    name: str
    node: Node


def machines_now() -> tuple[Machine, ...]:
    """What may be used: machines that are there, and that nobody has said will be taken away."""
    going = leaving()
    there = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] not in going]
    hosts = Counter(node["NodeManagerHostname"] for node in there)
    found = []
    for node in there:
        host, number, has = node["NodeManagerHostname"], node["NodeID"], node["Resources"]
        name = host if hosts[host] == 1 else f"{host} ({number[:6]})"
        found.append(Machine(number, name, Node(int(has.get("CPU", 0)), int(has.get("GPU", 0)), has)))
    return tuple(found)


def nodes_now() -> tuple[Node, ...]:
    """What the machines that may be used have."""
    return tuple(machine.node for machine in machines_now())


def on_machine(machine: Machine) -> dict[str, Any]:
    """Options of a task that takes nothing, runs there or not at all, and is not tried again."""
    there = NodeAffinitySchedulingStrategy(machine.id, soft=False)
    return {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}


def leaving() -> frozenset[str]:
    """The nodes that are drained, as of a spot machine that has been warned."""
    return frozenset(state.get_draining_nodes())


def owners_on(nodes: Iterable[str], owners: Iterable[str]) -> set[str]:
    """Of some actors, those that live on one of the nodes, or own what lives there, also by way of another actor.

    Args:
        nodes: identifiers.
        owners: identifiers of the actors.
    """
    there, asked = set(nodes), set(owners)
    alive = [each for each in state.actor_table(None).values() if each["State"] == "ALIVE"]
    by_address = {_process(each["Address"]): each for each in alive}
    found = set()
    for each in alive:
        if each["Address"]["NodeID"] not in there:
            continue
        link: dict[str, Any] | None = each
        while link is not None:
            if link["ActorID"] in asked:
                found.add(link["ActorID"])
                break
            link = by_address.get(_process(link["OwnerAddress"]))
    return found


def _process(address: dict[str, Any]) -> tuple[str, int]:
    return address["NodeID"], address["Port"]
