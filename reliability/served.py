"""A server in processes of its own, as `leukoscope serve` starts them."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx

from leukoscope.inference.bundle import Bundle


def until(told: Callable[[], object], seconds: float = 60) -> None:
    """Wait until `told` tells something."""
    end = time.monotonic() + seconds
    while not told():
        if time.monotonic() > end:
            raise TimeoutError("it never came")
        time.sleep(0.1)


class Served:
    """A server that answers.

    Attributes:
        process: that watches the one that calls.
        address: where it listens.
    """

    def __init__(self, bundle: Bundle, log: Path, *options: object) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = int(listening.getsockname()[1])
        self.address = f"http://127.0.0.1:{port}"
        words = ["-m", "leukoscope", "serve", bundle.folder, "--port", port, *options]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *map(str, words)], stdout=file, stderr=subprocess.STDOUT
            )
        until(self.answers)

    @classmethod
    @contextmanager
    def until_left(cls, bundle: Bundle, log: Path, *options: object) -> Iterator[Self]:
        """Yield a server that ends when it is left."""
        served = cls(bundle, log, *options)
        try:
            yield served
        finally:
            served.process.terminate()
            served.process.wait(60)

    def answers(self) -> bool:
        """Return whether it does, by now."""
        try:
            return httpx.get(f"{self.address}/healthz").is_success
        except httpx.TransportError:
            return False

    def calling(self) -> int | None:
        """Return the process that calls, a child; None while there is none. Linux tells."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        children = " ".join(path.read_text() for path in tasks.glob("*/children")).split()
        names = {child: Path(f"/proc/{child}/cmdline").read_text() for child in children}
        return next((int(child) for child, name in names.items() if "spawn_main" in name), None)
