"""The desk: pictures of all requests are called together, as they come.

A call of the model keeps all cores busy; a second one begins beside it, so that they are busy while
the first comes to its end. What arrives meanwhile waits, and is called with whatever else has
arrived. What a picture is called does not depend on what is called with it, to the last digit.
"""

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pandas as pd

from leukoscope.cells.pictures import Upload
from leukoscope.inference.inputs import subject_of
from leukoscope.inference.model import Model
from leukoscope.progress import silent

TOGETHER = 64
"""Pictures that one call of the model takes, about; a request is never cut."""
CALLS = 2
"""Calls of the model at once, so that cores are busy while one of them comes to its end."""
WAITING = 2048
"""Pictures that may wait; C-NMC's are 0.6 MB each."""


Row = dict[Hashable, Any]
"""Values by column."""


class BusyError(Exception):
    """More pictures wait than are kept."""


@dataclass(frozen=True)
class _Job:
    """A request's pictures, and who waits for their calls."""

    files: Sequence[Upload]
    coverage: float | None
    done: "asyncio.Future[list[Row]]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Desk:
    """Takes pictures from any number of requests to one model.

    Attributes:
        model: that calls.
        waiting: how many pictures do.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.waiting = 0
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()

    async def call(self, files: Sequence[Upload], coverage: float | None) -> list[Row]:
        """Return a row for each of `files`, see `leukoscope.inference.calls`.

        Args:
            files: any number.
            coverage: that the bundle can promise; None: its own.

        Raises:
            BusyError: too many pictures wait already.
        """
        if self.waiting and self.waiting + len(files) > WAITING:
            raise BusyError
        job = _Job(files, coverage)
        self._jobs.append(job)
        self.waiting += len(files)
        self._arrived.set()
        return await job.done

    async def work(self) -> None:
        """Call what arrives, until cancelled; several do so at once."""
        while True:
            await self._arrived.wait()
            while self._jobs:
                if jobs := self._taken():
                    await self._answer(jobs)
            self._arrived.clear()

    def _taken(self) -> list[_Job]:
        """Take the jobs that have waited longest, all of one coverage; none if nobody waits."""
        taken: list[_Job] = []
        count = 0
        while self._jobs and count < TOGETHER:
            if taken and self._jobs[0].coverage != taken[0].coverage:
                break
            job = self._jobs.popleft()
            if job.done.done():  # who asked has gone
                self.waiting -= len(job.files)
                continue
            taken.append(job)
            count += len(job.files)
        return taken

    async def _answer(self, jobs: Sequence[_Job]) -> None:
        files = list(chain.from_iterable(job.files for job in jobs))
        try:
            calls = await asyncio.to_thread(self._called, files, jobs[0].coverage)
        except Exception as error:  # a request has it, and the next one is answered all the same
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(error)
            return
        finally:
            self.waiting -= len(files)
        start = 0
        for job in jobs:
            stop = start + len(job.files)
            if not job.done.done():  # its client may have gone
                job.done.set_result(calls[start:stop])
            start = stop

    def _called(self, files: Sequence[Upload], coverage: float | None) -> list[Row]:
        subjects = [subject_of(file.name) for file in files]
        with silent():
            return rows(self.model.predict(files, subjects, coverage))


def rows(table: pd.DataFrame) -> list[Row]:
    """Return the rows of `table`, with None where there is nothing."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
