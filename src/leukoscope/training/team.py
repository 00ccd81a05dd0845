"""The processes that train one network together, as torchrun starts them.

Tensors are added up by torch.distributed; who is there is known by a roll: each process counts in
torchrun's store as long as it lives, and one that counts no more is gone, whatever its collectives
are waiting for.
"""

import os
import platform
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor

from leukoscope.errors import LeukoscopeError
from leukoscope.progress import silent
from leukoscope.training.stopping import Interrupted

T = TypeVar("T")

STARTED = "TORCHELASTIC_RUN_ID"
"""A variable that torchrun alone sets; others that speak of ranks are also a cluster's."""

BEAT = 0.5
"""Seconds between two signs of life."""

PATIENCE = 20.0
"""Seconds without one after which a process is taken for gone; less than the 30 that torchrun
leaves the others."""

ENDED = "ended"
"""The last sign of life, of a process that the others need no more."""


GONE = (
    "gone, and the training ends; what was saved is whole: go on with --resume, with as many "
    "processes as there are"
)


class Lost(LeukoscopeError):  # noqa: N818
    """A process of the team is gone."""


@dataclass(frozen=True)
class Team:
    """Who this process is among those that train together.

    Attributes:
        rank: from 0.
        size: of the team.
        local: how many of it are on this machine.
    """

    rank: int = 0
    size: int = 1
    local: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def told(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in the first process; it is called there alone.

        Raises:
            LeukoscopeError: there it raised one; here it says nothing.
        """
        if self.size == 1:
            return make()
        made: list[T | LeukoscopeError | None] = [None]
        if self.first:
            try:
                made = [make()]
            except LeukoscopeError as error:
                made = [error]
        dist.broadcast_object_list(made, src=0)
        (outcome,) = made
        if isinstance(outcome, LeukoscopeError):
            raise outcome if self.first else _silently(outcome)
        return outcome  # type: ignore[return-value]

    def once(self, text: str) -> str:
        """Return what the first process says for all; the others say nothing."""
        return text if self.first else ""

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of `tensor` over the processes, the same in each."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def highest(self, number: int) -> int:
        """Return the highest `number` of any process; their devices are not waited for."""
        if self.size == 1:
            return number
        told = torch.tensor(number)
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return int(told)

    def level(self, tensors: list[Tensor]) -> None:
        """Put the mean over the processes in the place of each of `tensors`."""
        if self.size > 1 and tensors:
            flat = self.total(torch.cat([tensor.flatten() for tensor in tensors])) / self.size
            sizes = [tensor.numel() for tensor in tensors]
            for tensor, mean in zip(tensors, torch.split(flat, sizes), strict=True):
                tensor.copy_(mean.view_as(tensor))

    @property
    def strategy(self) -> DDPStrategy | str:
        """What makes lightning-fabric exchange gradients."""
        if self.size == 1:
            return "auto"
        # Newer versions of torch would like another name, which older ones have not.
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
        # None is unused; but so the buckets stay those of the first step, also of a run that goes
        # on: in others the gradients of three processes are added up in another order.
        return DDPStrategy(broadcast_buffers=False, find_unused_parameters=True)


ALONE = Team()
"""A process that trains by itself."""


def _silently(error: LeukoscopeError) -> LeukoscopeError:
    quiet = LeukoscopeError()
    quiet.exit_code = error.exit_code
    return quiet


@contextmanager
def joined() -> Iterator[Team]:
    """Be one of the processes that torchrun started, or `ALONE`, while the block runs.

    Raises:
        Lost: another one is gone, so that nothing can be computed together any more.
    """
    if STARTED not in os.environ or os.environ["WORLD_SIZE"] == "1":
        yield ALONE
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    team = Team(*(int(os.environ[name]) for name in names))
    backend = "gloo"
    if torch.cuda.device_count() >= team.local:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend)
    roll, missed = _Roll(team), True
    try:
        with nullcontext() if team.first else silent():
            yield team
        missed = False
    except Interrupted:  # as all are
        missed = False
        raise
    except RuntimeError as error:
        # torchrun ends those that are left; they have something to say first.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if gone := roll.gone():
            missed = False  # it is another one that the others miss
            raise Lost(gone) from error
        raise
    finally:
        roll.leave(missed)
    dist.destroy_process_group()


class _Roll:
    """Signs of life of a team's processes; see the module."""

    def __init__(self, team: Team) -> None:
        self.team, self.beats = team, 0
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        # A client of its own: that of the process group may be waiting.
        store = dist.TCPStore(  # type: ignore[attr-defined]
            host, port, is_master=False, timeout=timedelta(seconds=PATIENCE)
        )
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self.store = dist.PrefixStore(  # type: ignore[attr-defined]
            f"leukoscope-{attempt}", store
        )
        place = f"process {team.rank} of {team.size} (pid {os.getpid()} on {platform.node()})"
        self._beat("0")
        self.store.set(f"place-{team.rank}", place)
        places = [f"place-{rank}" for rank in range(team.size)]
        self.places = [told.decode() for told in self.store.multi_get(places)]
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="leukoscope-roll", daemon=True)
        self.thread.start()

    def gone(self) -> str:
        """Say which processes give no sign of life any more; nothing: all do."""
        try:
            before = self._called()
            time.sleep(4 * BEAT)
            after = self._called()
        except RuntimeError:
            return self._without_store
        still = [rank for rank in self._others if before[rank] == after[rank]]
        # Others that have missed it may have ended by now; those without a word are the cause.
        cause = [rank for rank in still if after[rank] != ENDED]
        return self._sentence(cause or still) if still else ""

    def leave(self, missed: bool) -> None:
        """Stop; others that go on without a process that is `missed` will take it for gone."""
        self.over.set()
        self.thread.join()
        if missed:
            return
        try:
            self._beat(ENDED)
        except RuntimeError:  # torchrun has ended before
            return

    @property
    def _others(self) -> list[int]:
        return [rank for rank in range(self.team.size) if rank != self.team.rank]

    def _beat(self, sign: str) -> None:
        self.store.set(f"beat-{self.team.rank}", sign)

    def _called(self) -> list[str]:
        names = [f"beat-{rank}" for rank in range(self.team.size)]
        return [sign.decode() for sign in self.store.multi_get(names)]

    def _watch(self) -> None:
        """Give signs of life, and end this process when another one gives none."""
        heard = [time.monotonic()] * self.team.size
        last = [""] * self.team.size
        while not self.over.wait(BEAT):
            self.beats += 1
            try:
                self._beat(str(self.beats))
                signs, now = self._called(), time.monotonic()
            except RuntimeError:
                self._end(self._without_store)
                return
            for rank, sign in enumerate(signs):
                if sign != last[rank] or sign == ENDED:
                    heard[rank] = now
            last = signs
            if silent_ones := [rank for rank in self._others if now - heard[rank] > PATIENCE]:
                self._end(self._sentence(silent_ones))

    def _end(self, why: str) -> None:
        # The main thread may wait for ever in a collective, which nothing else would end.
        if not self.over.is_set():
            print(f"leukoscope: {why}", file=sys.stderr, flush=True)
            os._exit(Lost.exit_code)

    def _sentence(self, lost: list[int]) -> str:
        who = ", ".join(self.places[rank] for rank in lost)
        return f"{who} {'is' if len(lost) == 1 else 'are'} {GONE}"

    @property
    def _without_store(self) -> str:
        return f"torchrun on {os.environ['MASTER_ADDR']}, which keeps the roll, is {GONE}"
