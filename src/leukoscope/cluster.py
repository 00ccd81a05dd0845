"""Ray, where work is spread over machines: a cluster that is joined, or one on this machine."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from leukoscope.cores import cores
from leukoscope.errors import BadInputError, LeukoscopeError, needs_extra

ANSWER_SECONDS = 10.0
"""Within which a machine has to answer."""

IMPATIENT = {f"RAY_gcs_rpc_server_{step}_timeout_s": "3" for step in ("connect", "reconnect")}
"""How long Ray tries at something that answers and is no cluster, instead of a minute."""


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Be the driver of the cluster at `address` while the block runs.

    Args:
        address: as Ray has it, ``auto`` or ``host:6379``; None: a cluster of this machine's cores,
            which ends with the block.

    Raises:
        BadInputError: Ray is not installed, no cluster answers, or one of another version.
        LeukoscopeError: the cluster failed. An error in what it was given to do is raised as it is.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    with needs_extra("scale"):
        import ray
        from ray.exceptions import RayError, RayTaskError
    if address:
        _assert_answers(address)
    where = {"address": address} if address else {"address": "local", "num_cpus": cores()}
    try:
        ray.init(**where, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError) as error:
        raise BadInputError(f"the Ray cluster at {address} cannot be joined: {error}") from error
    try:
        yield
    except RayTaskError:
        raise
    except RayError as error:
        raise LeukoscopeError(f"the cluster failed: {error}; started again, it goes on") from error
    finally:
        ray.shutdown()


def _assert_answers(address: str) -> None:
    """Ask the cluster at `address` how it is, in another process.

    In this one Ray would try for two minutes, and then end the process rather than raise.
    """
    host, _, port = address.rpartition(":")
    if port.isdecimal():  # and is no `auto`
        try:
            socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
        except (OSError, OverflowError, UnicodeError) as error:  # no such port, no such name
            raise BadInputError(f"no Ray cluster answers at {address}: {error}") from error
    words = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    found = subprocess.run(
        words, capture_output=True, text=True, check=False, env=os.environ | IMPATIENT
    )
    if found.returncode:
        told = found.stderr.strip().splitlines() or ["no reason is given"]
        raise BadInputError(f"no Ray cluster answers at {address}: {told[-1]}")
