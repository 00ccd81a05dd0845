"""What a monitoring system sees, in Prometheus' form; it holds no name and no picture."""

import time
from collections.abc import Awaitable, Callable

import pandas as pd
from fastapi import Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

Next = Callable[[Request], Awaitable[Response]]


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

    async def watch(self, request: Request, answer: Next) -> Response:
        """Answer a request, and count it."""
        started = time.perf_counter()
        status = 500
        try:
            response = await answer(request)
            status = response.status_code
            return response
        finally:
            # Routes are few; what else is asked for could be anything, and would fill the memory.
            route = getattr(request.scope.get("route"), "path", "other")
            self.requests.labels(route, status).inc()
            self.seconds.labels(route).observe(time.perf_counter() - started)

    def count(self, calls: pd.DataFrame) -> None:
        """Count what `calls` say."""
        for call, number in calls["call"].fillna("unreadable").value_counts().items():
            self.cells.labels(call).inc(number)

    def text(self) -> bytes:
        """Return all of them as Prometheus reads them."""
        return generate_latest(self.registry)
