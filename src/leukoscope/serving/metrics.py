"""What is told of requests: to a monitoring system in Prometheus' form, and a line each in the log.

Neither holds a picture, nor a name unless whoever serves asked for names.
"""

import logging
import time
from collections import Counter as Counts
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leukoscope.serving.desk import Row

LOG = logging.getLogger(__name__)


class Metrics:
    """Counters of one server.

    Args:
        waiting: tells how many pictures wait.
    """

    def __init__(self, waiting: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "leukoscope_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "leukoscope_request_seconds", "Of answering.", ["route"], registry=self.registry
        )
        self.cells = Counter(
            "leukoscope_pictures",
            "Pictures called, and unreadable.",
            ["call"],
            registry=self.registry,
        )
        gauge = Gauge("leukoscope_pictures_waiting", "To be called.", registry=self.registry)
        gauge.set_function(waiting)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered, and tell the log."""
        # Routes are few; what else is asked for could be anything, and would fill the memory.
        route = getattr(scope.get("route"), "path", "other")
        self.requests.labels(route, status).inc()
        self.seconds.labels(route).observe(seconds)
        names = scope.get("state", {}).get("names", "")
        LOG.info("%s %s %d %.3f s%s", scope["method"], route, status, seconds, names)

    def count(self, calls: Sequence[Row]) -> None:
        """Count what `calls` say."""
        for call, number in Counts(row["call"] or "unreadable" for row in calls).items():
            self.cells.labels(call).inc(number)

    def text(self) -> bytes:
        """Return all of them as Prometheus reads them."""
        return generate_latest(self.registry)


class Watch:
    """Tells `metrics` of every request to `app` that was answered.

    Not one of Starlette's own kind, which passes each piece of a picture on through two queues.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def told(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, told)
        finally:
            self.metrics.answered(scope, status, time.perf_counter() - started)
