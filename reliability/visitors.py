"""Locust's visitors: each sends a picture, waits for its call, and sends the next.

Answers are counted by their status; one that is no call of that picture counts as a failure, and so
does anything but 200 and 503. After 503 a visitor waits as long as it was told.
"""

import os
import random
from pathlib import Path

import gevent
from locust import FastHttpUser, task

from leukoscope.cells.pictures import SUFFIXES

FOLDER = Path(os.environ["PICTURES"])
PICTURES = [path for path in FOLDER.rglob("*") if path.suffix in SUFFIXES]
BOUNDARY = "leukoscope-visitor"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class Visitor(FastHttpUser):
    """Someone who calls picture after picture."""

    connection_timeout = network_timeout = 180.0

    @task
    def call(self) -> None:
        """Have a picture called."""
        path = random.choice(PICTURES)
        head = f'Content-Disposition: form-data; name="files"; filename="{path.name}"'
        body = b"".join(
            [
                f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode(),
                path.read_bytes(),
                f"\r\n--{BOUNDARY}--\r\n".encode(),
            ]
        )
        with self.client.post(
            "/v1/predict", data=body, headers=HEADERS, catch_response=True
        ) as answer:
            answer.request_meta["name"] = str(answer.status_code)
            if answer.status_code == 503:
                answer.success()
                gevent.sleep(float(answer.headers["Retry-After"]))
            elif answer.status_code != 200:
                answer.failure(f"status {answer.status_code}: {answer.text}")
            else:
                (called,) = answer.json()["calls"]
                if called["path"] != path.name or not called["call"]:
                    answer.failure(f"{path.name}: {called}")
