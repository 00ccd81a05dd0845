"""How many cores this process may use: a cluster's job or a container rarely has all of them."""

import os


def cores() -> int:
    """Return the cores that this process may run on, at least 1.

    Where the system can bind a process to some of its cores, as SLURM and ``taskset`` do on Linux,
    only those count.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
