"""The server, and all that it loads, work where there is no network, and never look for one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from leukoscope.inference.bundle import Bundle

ASKS = """
import sys

asked = []
sys.addaudithook(
    lambda name, told: asked.append((name, told))
    if name in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request")
    else None
)

from pathlib import Path
from fastapi.testclient import TestClient
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.model import Model
from leukoscope.serving.app import create

folder, picture = map(Path, sys.argv[1:])
app = create(Model(Bundle.open(folder), "fp32", 1))
with TestClient(app, base_url="http://localhost") as client:
    file = (picture.name, picture.read_bytes())
    answers = [
        client.post("/v1/predict", files={"files": file}),
        client.post("/v1/explain", files={"file": file}),
        *map(client.get, ("/", "/docs", "/openapi.json", "/v1/model", "/metrics")),
    ]
assert [answer.status_code for answer in answers] == [200] * 7, answers
assert answers[0].json()["calls"][0]["call"], answers[0].text
assert not asked, asked
"""


def test_without_a_network(bundle: Bundle, cells: pd.DataFrame) -> None:
    cut_off = ["unshare", "--user", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*cut_off, "true"]).returncode:
        pytest.skip("it takes a Linux that lets users cut a process off the network")
    words = [sys.executable, "-c", ASKS, bundle.folder, Path(cells["path"].iloc[0])]
    done = subprocess.run([*cut_off, *map(str, words)], capture_output=True, text=True)
    assert not done.returncode, done.stderr
