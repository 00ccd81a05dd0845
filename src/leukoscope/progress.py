"""Progress of long work: a bar with rate and time left, plain lines where there is no terminal."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")

PLAIN_SECONDS = 30.0
"""How often a line is written when the output is no terminal."""


_silent = ContextVar("silent", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """Show no progress within: nobody waits at a terminal for what a server computes."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


class RateColumn(ProgressColumn):
    """Units a second, e.g. ``136 images/s``."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Return the rate of `task` over its recent past."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self.unit}/s" if speed else f"- {self.unit}/s")


class Bar:
    """One task's progress: `advance` it; use as a context manager.

    On a terminal it is a rich progress bar; elsewhere a line every `PLAIN_SECONDS`, so that a log
    stays short and readable. A `total` of None is not known before the end.
    """

    def __init__(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done, self.first = done, done
        self.started = self.spoken = time.monotonic()
        console = Console(file=sys.stderr)
        self.rich: Progress | None = None
        self.silent = _silent.get()
        if console.is_terminal and not self.silent:
            self.rich = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                RateColumn(unit),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self.task = self.rich.add_task(what, total=total, completed=done)

    def __enter__(self) -> "Bar":
        if self.rich:
            self.rich.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.rich:
            self.rich.stop()

    def say(self, line: str) -> None:
        """Print `line` to standard error, above the bar if there is one."""
        if self.rich:
            self.rich.console.print(line, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def advance(self, by: int = 1) -> None:
        """Count `by` more units as done."""
        self.done += by
        if self.rich:
            self.rich.advance(self.task, by)
        elif not self.silent and time.monotonic() - self.spoken >= PLAIN_SECONDS:
            self.spoken = time.monotonic()
            rate = (self.done - self.first) / (self.spoken - self.started)
            line = f"{self.what}: {self.done:,}, {rate:,.1f} {self.unit}/s"
            if self.total is not None:
                line = (
                    f"{self.what}: {self.done:,}/{self.total:,}, {rate:,.1f} {self.unit}/s, "
                    f"{(self.total - self.done) / rate / 60:.0f} min left"
                )
            self.say(line)


def tracked(items: Iterable[T], what: str, total: int | None, unit: str) -> Iterator[T]:
    """Yield `items`, showing how many of `total` have gone by."""
    with Bar(what, total, unit) as bar:
        for item in items:
            yield item
            bar.advance()
