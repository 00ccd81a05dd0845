"""How many cores this process may use: a cluster's job or a container rarely has all of them."""

import os


def cores() -> int:
    """Return the cores that this process may run on, at least 1.

    Where the system can bind a process to some of its cores, as SLURM and ``taskset`` do on Linux,
    only those count; processes that torchrun started on one machine share them.
    """
    sharing = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)) // sharing)
    return max(1, (os.cpu_count() or 1) // sharing)
