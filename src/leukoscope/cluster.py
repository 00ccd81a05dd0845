"""Ray, where work is spread over machines: a cluster that is joined, or one on this machine."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from leukoscope.cores import cores
from leukoscope.errors import BadInputError, needs_extra

ANSWER_SECONDS = 10.0
"""Within which a cluster has to answer."""


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Be the driver of the cluster at `address` while the block runs.

    Args:
        address: as Ray has it, ``auto`` or ``host:6379``; None: a cluster of this machine's cores,
            which ends with the block.

    Raises:
        BadInputError: Ray is not installed, no cluster answers, or one of another version.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    with needs_extra("scale"):
        import ray
    if address:
        _assert_answers(address)
    where = {"address": address} if address else {"address": "local", "num_cpus": cores()}
    try:
        ray.init(**where, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError) as error:
        raise BadInputError(f"the Ray cluster at {address} cannot be joined: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _assert_answers(address: str) -> None:
    """Ask the cluster at `address` how it is, in another process.

    In this one Ray would try for two minutes, and then end the process rather than raise.
    """
    words = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        subprocess.run(words, capture_output=True, text=True, check=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BadInputError(
            f"no Ray cluster answers at {address} within {ANSWER_SECONDS:.0f} s"
        ) from error
    except subprocess.CalledProcessError as error:
        told = error.stderr.strip().splitlines() or ["no reason is given"]
        raise BadInputError(f"no Ray cluster answers at {address}: {told[-1]}") from error
