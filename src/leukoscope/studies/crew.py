"""Who does the work of runs: this process, one run after another, or the machines of a cluster.

What is above knows no difference: `work` reads and writes the run's folder alone, and when a crew
is done everything lies there.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from leukoscope.cluster import joined
from leukoscope.training.run import Run

Engine = Literal["local", "ray"]

Task = Callable[[Run], object]
"""Trains a run, and may measure it; what is done already it does not do again.

A function of a module, or a `partial` of one: it may travel to another machine.
"""

Crew = Callable[[Task, Sequence[Run]], None]
"""Does work on each run; an error of one ends it for all."""


def alone(work: Task, runs: Sequence[Run]) -> None:
    """Do `work` on one of `runs` after the other, in this process."""
    for run in runs:
        work(run)


@contextmanager
def hired(engine: Engine, address: str | None) -> Iterator[Crew]:
    """Yield the crew of `engine`; on a cluster it is there while the block runs.

    Args:
        engine: ``local``: this process; ``ray``: a task a run.
        address: of the cluster, as for `leukoscope.cluster.joined`.

    Raises:
        BadInputError: the cluster cannot be joined.
    """
    if engine == "local":
        yield alone
        return
    with joined(address):
        from leukoscope.studies.spread import spread  # it needs Ray

        yield spread
