"""Work spread over a Ray cluster: a task a run, done again from its last checkpoint when it dies.

The runs' folders are reached from every machine by the same path; nothing else passes between them
but what each task says of itself.
"""

import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from leukoscope.errors import BadInputError, LeukoscopeError
from leukoscope.lock import InUse
from leukoscope.studies.board import Board, Said
from leukoscope.studies.crew import Task
from leukoscope.studies.roster import Roster
from leukoscope.training.footprint import footprint
from leukoscope.training.machine import device_of
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.stopping import Interrupted, stop_signals

RETRIES = 5
"""How often a run is gone on with whose process or machine died."""

PATIENCE = 120.0
"""Seconds for which a run may still be in use: a file server may hold a dead machine's lock."""

POLL_SECONDS = 1.0

AGAIN = 60.0
"""Seconds after which a task that trains on is interrupted anew: the first may have come amid an
import, say, and be lost."""

SPARE = 1.2
"""Of memory, beside what was measured: evaluation, and what Ray itself takes of a process."""

NOWHERE = "waiting: no machine that lives has what it takes"

Needs = dict[str, float]
"""What of a machine a run takes, by Ray's names."""

Machines = dict[str, Needs]
"""What each living machine has, by Ray's identifier of it."""


class Interruption(NamedTuple):
    """When a task was interrupted.

    Attributes:
        time: in seconds, of a clock that only goes forward.
        epochs: that its run had trained.
    """

    time: float
    epochs: int


def spread(work: Task, runs: Sequence[Run]) -> None:
    """Do `work` on all `runs`, as many at a time as the cluster this process has joined can take.

    A task whose process or machine dies is begun anew elsewhere. An error of the work itself is
    raised here as it was there; the other runs are then stopped with a checkpoint.

    Raises:
        BadInputError: no machine of the cluster can take a run.
        Interrupted: on SIGINT or SIGTERM, once the runs have written checkpoints.
        LeukoscopeError: what `work` raised, or a run died again and again.
    """
    runs = [replace(run, folder=run.folder.absolute()) for run in runs]
    needs = [_needs(run) for run in runs]
    machines = _machines()
    for run, need in zip(runs, needs, strict=True):
        _assert_possible(run, need, machines)
    # Beside its driver it lives as long as that does.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board: Any = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
    sitting = ray.remote(_sitting)
    tasks = {
        sitting.options(
            num_cpus=need["CPU"],
            num_gpus=need["GPU"],
            memory=need["memory"],
            max_retries=RETRIES,
            retry_exceptions=[Interrupted],  # by a machine that is shut down, not by the user
            scheduling_strategy="SPREAD",
        ).remote(board, number, work, run.folder): number
        for number, (run, need) in enumerate(zip(runs, needs, strict=True))
    }
    said: dict[int, Said] = {}
    ended: dict[int, str] = {}
    asked = board.told.remote()
    failure: BaseException | None = None
    interrupted: dict[int, Interruption] = {}
    with stop_signals() as stop, Roster(runs) as roster:
        while tasks:
            ready, _ = ray.wait(list(tasks), timeout=POLL_SECONDS)
            fault: BaseException | None = None
            for task in ready:
                number = tasks.pop(task)
                try:
                    ray.get(task)
                    ended[number] = "done"
                except RayError as error:
                    ended[number] = "stopped" if failure else "failed"
                    fault = _fault(error, runs[number])
            if stop.is_set():
                fault = Interrupted(
                    "stopped; started again it keeps what is finished and goes on with the rest"
                )
            failure = failure or fault
            if failure:
                _interrupt(tasks, runs, interrupted)
            with suppress(RayError):  # work goes on that cannot be shown
                machines = _machines()
                if ray.wait([asked], timeout=0)[0]:  # a board that is not there holds nothing up
                    said, asked = ray.get(asked), board.told.remote()
            roster.show(_states(needs, said, ended, machines))
        with suppress(RayError):
            said = ray.get(board.told.remote())
        roster.show(_states(needs, said, ended, machines))
    if failure:
        raise failure


def _interrupt(
    tasks: Mapping[Any, int], runs: Sequence[Run], interrupted: dict[int, Interruption]
) -> None:
    """Interrupt those of `tasks` that were not yet, and those that cannot have heard it.

    A run that has heard it ends with a checkpoint before a second epoch is over; a second
    interruption would cost it that.
    """
    for task, number in tasks.items():
        now = Interruption(time.monotonic(), len(runs[number].history))
        last = interrupted.get(number)
        if not last or (now.time - last.time > AGAIN and now.epochs - last.epochs > 1):
            ray.cancel(task)  # as Ctrl-C
            interrupted[number] = now


def _sitting(board: Any, number: int, work: Task, folder: Path) -> None:
    """Do `work` on the run in `folder`; the task."""
    board.start.remote(number, platform.node(), ray.get_runtime_context().get_node_id())
    until = time.monotonic() + PATIENCE
    while True:
        try:
            # As it stands there: a sitting before this one may have changed its parts.
            work(Run.open(folder))
        except InUse as error:
            if time.monotonic() > until:
                raise
            board.wait.remote(number, str(error))
            time.sleep(POLL_SECONDS)
        else:
            return


def _states(
    needs: Sequence[Needs], said: Mapping[int, Said], ended: Mapping[int, str], machines: Machines
) -> list[str]:
    """Return what each run is doing: how it ended, or what it said last on a machine that lives."""
    states = []
    for number, need in enumerate(needs):
        doing, node, again = said.get(number, Said())
        if node not in machines:
            doing = "waiting" if _possible(need, machines) else NOWHERE
        state = ended.get(number, doing)
        states.append(f"{state}, retried {again}" if again else state)
    return states


def _fault(error: RayError, run: Run) -> BaseException:
    """Return what the person at the keyboard is told of a task that ended in `error`."""
    if isinstance(error, RayTaskError):
        cause = error.cause
        return cause if isinstance(cause, LeukoscopeError | OSError) else error
    reason = str(error).strip().partition("\n")[0]
    return LeukoscopeError(
        f"{run.folder}: its process died and was begun anew up to {RETRIES} times; started again "
        f"the command goes on from the last checkpoint. Ray says: {reason}"
    )


def _needs(run: Run) -> Needs:
    """Return what `run` takes: its threads, a card where it trains on one, measured memory."""
    config = run.config
    if run.finished:  # it was trained elsewhere, perhaps with more; what is left is to judge it
        return {"CPU": 1, "GPU": 0, "memory": 0}
    memory = footprint(config) if _device_is_here(config) else None
    return {
        "CPU": config.threads,
        "GPU": float(_takes_a_card(config)),
        "memory": int(SPARE * (memory or 0)),
    }


def _takes_a_card(config: RunConfig) -> bool:
    return config.device == "cuda" or (
        config.device == "auto" and device_of(config.device).type == "cuda"
    )


def _device_is_here(config: RunConfig) -> bool:
    try:
        device_of(config.device)
    except BadInputError:
        return False
    return True


def _machines() -> Machines:
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return {node["NodeID"]: node["Resources"] for node in nodes if node["Alive"]}


def _possible(needs: Needs, machines: Machines) -> bool:
    return any(
        all(machine.get(name, 0) >= amount for name, amount in needs.items())
        for machine in machines.values()
    )


def _assert_possible(run: Run, needs: Needs, machines: Machines) -> None:
    """Refuse what would wait for ever."""
    if not _possible(needs, machines):
        raise BadInputError(
            f"no machine of the cluster has what {run.folder} takes: {needs['CPU']:.0f} cores, "
            f"{needs['GPU']:.0f} cards, {needs['memory'] / 2**30:.1f} GiB of memory. Fewer "
            "--threads, a smaller --micro-batch or --checkpoint-activations take less."
        )
