"""Ray, where work is spread over machines: a cluster that is joined, or one on this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from leukoscope.cores import cores
from leukoscope.errors import BadInputError, needs_extra


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Be the driver of the cluster at `address` while the block runs.

    Args:
        address: as Ray has it, ``auto`` or ``host:6379``; None: a cluster of this machine's cores,
            which ends with the block.

    Raises:
        BadInputError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    with needs_extra("scale"):
        import ray
    where = {"address": address} if address else {"address": "local", "num_cpus": cores()}
    try:
        ray.init(**where, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise BadInputError(f"no Ray cluster answers at {address}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
