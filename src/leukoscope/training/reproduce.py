"""Whether a run can be had again: the same work, done anew, held against what was kept."""

from pathlib import Path
from typing import Any, get_args

from leukoscope.errors import BadInputError
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.run import TIMES, Run, Which, environment
from leukoscope.training.trainer import train


def reproduce(run: Run, folder: Path) -> list[str]:
    """Train as `run` was trained, into `folder`; return what differs, see `difference`.

    Raises:
        BadInputError: `run` is not finished, its store has changed, or `folder` holds a run.
    """
    if not run.finished:
        raise BadInputError(f"{run.folder} is not finished; go on with: leukoscope train --resume")
    again = Run.create(folder, run.config)
    train(again)
    return difference(run, again)


def difference(run: Run, again: Run) -> list[str]:
    """Return what of two finished runs differs, nothing: they are the same, bit for bit.

    Compared are the weights of the best and of the last epoch, and the history but for its times.
    """
    found = []
    for which in get_args(Which):
        before, after = (Checkpoint.load(one.checkpoint(which)).digest for one in (run, again))
        if before != after:
            found.append(f"weights of the {which} epoch: {before[:12]} before, {after[:12]} now")
    tables = [one.history.drop(columns=TIMES, errors="ignore") for one in (run, again)]
    if not tables[0].equals(tables[1]):
        found.append("history")
    return found


def changes(run: Run) -> list[str]:
    """Return what of the environment is not as it was when `run` began."""
    before, now = _flat(run.environment), _flat(environment())
    return [
        f"{name}: {before.get(name, 'unknown')} then, {value} now"
        for name, value in now.items()
        if before.get(name) != value
    ]


def _flat(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, **told.get("packages", {}), "packages": None}
