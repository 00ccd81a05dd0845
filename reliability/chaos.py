"""Promise: whatever moment a process is killed at, going on ends as if nothing had happened.

Training, preparing and comparing are killed with SIGKILL at a random moment of the clock, or at a
point that a clock seldom meets: in the middle of a checkpoint's write, before what was written is
flushed, between flushing and renaming, between two checkpoints. Then they are started again, and
weights, histories and stores held against those of a process that nobody killed, bit for bit.

    python reliability/chaos.py 50
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from leukoscope.cells import manifest
from leukoscope.cells.phantom import write_phantoms
from leukoscope.cells.sources import read_sources
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.run import TIMES, Run
from tell import tell

DYING = Path(__file__).parent / "dying.py"
FAST = ["--threads", "1", "--device", "cpu", "--precision", "32-true"]
RECIPE = ["--set", "batch_size=8", "--set", "epochs=3", "--set", "averaging=0.9"]


def process(words: Sequence[str], place: Path) -> subprocess.Popen[bytes]:
    """Start leukoscope in `place`, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finished(words: Sequence[str], place: Path) -> None:
    """Run leukoscope to its end."""
    done = process(["-m", "leukoscope", *words], place)
    _, said = done.communicate()
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {said.decode()}")


def of_run(folder: Path) -> str:
    """Digest the weights and the history of a run."""
    run = Run.open(folder)
    weights = [Checkpoint.load(run.checkpoint(which)).digest for which in ("best", "last")]
    return " ".join([*weights, run.history.drop(columns=TIMES).to_csv(index=False)])


def of_runs(folder: Path) -> str:
    """Digest all runs below a folder."""
    runs = sorted(path.parent for path in folder.rglob("config.yaml"))
    return "\n".join(f"{run.relative_to(folder)} {of_run(run)}" for run in runs)


def of_files(folder: Path) -> str:
    """Digest what a store consists of, and see that nothing else was left."""
    files = sorted(path for path in folder.iterdir() if path.name != ".lock")
    return "\n".join(f"{p.name} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in files)


@dataclass(frozen=True)
class Work:
    """Something that takes time, how it is gone on with, and what it leaves."""

    name: str
    words: list[str]
    again: list[str]
    folder: str
    digest: Callable[[Path], str]

    @cached_property
    def undisturbed(self) -> tuple[str, float, dict[str, int]]:
        """Its digest, seconds and how often it passes each point, when nobody kills it."""
        with tempfile.TemporaryDirectory() as place:
            started = time.monotonic()
            done = process([str(DYING), "none", "0", *self.words], Path(place))
            _, said = done.communicate()
            seconds = time.monotonic() - started
            counts = json.loads(said.decode().splitlines()[-1])
            return self.digest(Path(place) / self.folder), seconds, counts

    def survives(self, chance: random.Random) -> tuple[str, bool]:
        """Kill it once and go on; return the moment, and whether it ended as undisturbed."""
        expected, seconds, counts = self.undisturbed
        with tempfile.TemporaryDirectory() as place:
            moment, killed = self._killed(Path(place), chance, seconds, counts)
            left = Path(place) / self.folder
            try:
                if not (left / "store.json").exists():  # a finished store is refused
                    begun = (left / "config.yaml").exists()
                    finished(self.again if begun else self.words, Path(place))
                same = self.digest(left) == expected and not list(left.rglob(".leukoscope-*"))
            except (RuntimeError, OSError, ValueError) as error:
                return f"{self.name} {moment}: {error}", False
        return f"{self.name} {moment}", same and killed

    def _killed(
        self, place: Path, chance: random.Random, seconds: float, counts: dict[str, int]
    ) -> tuple[str, bool]:
        """Kill it; return the moment, and whether it met it (by the clock it may have ended)."""
        point = chance.choice(["clock", "clock", *sorted(counts)])
        if point == "clock":
            after = chance.uniform(0, seconds)
            done = process(["-m", "leukoscope", *self.words], place)
            try:
                done.wait(after)
            except subprocess.TimeoutExpired:
                os.killpg(done.pid, signal.SIGKILL)
            done.communicate()
            return f"after {after:.2f} s", True
        number = chance.randint(1, counts[point])
        done = process([str(DYING), point, str(number), *self.words], place)
        done.communicate()
        return f"at {point} {number} of {counts[point]}", done.returncode == -signal.SIGKILL


def works(place: Path) -> list[Work]:
    """Return what is killed, on a few phantom cells in `place`."""
    write_phantoms(place / "cells", 12, 60, 0)
    manifest.write(read_sources([place / "cells"]).cells, place / "cells.csv")
    prepare = ["prepare", str(place / "cells.csv"), "--size", "32", "-o"]
    store = str(place / "store")
    finished([*prepare, store], place)
    train = ["train", store, "-o", "run", *RECIPE, *FAST]
    models = ["--models", "resnet18,resnet34", "--set", "epochs=1", "--set", "batch_size=8"]
    compare = ["compare", store, "-o", "runs", *models, *FAST]
    return [
        Work("train", train, ["train", "--resume", "run"], "run", of_run),
        Work("prepare", [*prepare, "made"], [], "made", of_files),
        Work("compare", compare, compare, "runs", of_runs),
    ]


def chaos(trials: int, seed: int = 0) -> list[str]:
    """Kill `trials` times; return the moments after which something was different."""
    chance, failed = random.Random(seed), []
    with tempfile.TemporaryDirectory() as place:
        known = works(Path(place))
        for number in range(trials):
            work = known[(0, 1, 0, 2, 0)[number % 5]]
            told, same = work.survives(chance)
            print(f"{number + 1:3} {'the same' if same else 'DIFFERENT'}: {told}", flush=True)
            if not same:
                failed.append(told)
    return failed


if __name__ == "__main__":
    tried = int(sys.argv[1])
    tell("chaos", "killed at any moment and started again, it ends the same", tried, chaos(tried))
