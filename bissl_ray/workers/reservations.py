"""Room that a cluster keeps for a group that is gone.

Ray frees what an actor has reserved when the job ends, not when the actor dies, and Train's own cleaner does not know
yet of what was reserved a moment before: of a group that is lost as it starts, its successors would find no room.
"""

import ray
from ray._private.state import state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.util.placement_group import PlacementGroup, remove_placement_group


def free_orphaned() -> int:
    """Free what actors of this job had reserved that are dead.

    Returns:
        How many placement groups that were.
    """
    job = ray.JobID(bytes.fromhex(ray.get_runtime_context().get_job_id())).binary()
    table = state._connect_and_get_accessor().get_placement_group_table()
    found = 0
    for group in map(PlacementGroupTableData.FromString, table):
        # What the driver itself has reserved has no actor, which counts as dead.
        by_actor = group.creator_actor_dead and not ray.ActorID(group.creator_actor_id).is_nil()
        if by_actor and group.creator_job_id == job and group.state != PlacementGroupTableData.REMOVED:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
            found += 1
    return found
