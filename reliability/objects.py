"""A server of objects that speaks like S3, on this machine, and a Ray cluster of several nodes."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.server import ThreadedMotoServer
from pyarrow import fs

NODE = {"num_cpus": 1, "object_store_memory": 200 * 2**20}

SOON = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""When a node that says nothing is given up."""


@contextmanager
def objects(bucket: str) -> Iterator[str]:
    """Serve an empty bucket to this process and to all that it starts; yield the address of it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    told = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        with patch.dict(os.environ, told):
            files, path = fs.FileSystem.from_uri(f"s3://{bucket}?allow_bucket_creation=true")
            files.create_dir(path)
            yield f"s3://{bucket}"
    finally:
        server.stop()


@contextmanager
def nodes(count: int) -> Iterator[Any]:
    """Run a Ray cluster of nodes of one core each, and a head of none; yield it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    head = {**NODE, "num_cpus": 0, "include_dashboard": False, "_system_config": SOON}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(count):
            cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()
