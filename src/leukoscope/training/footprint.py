"""How much of a machine's memory a training takes, measured: a few steps of it in a process of its
own, whose peak the system tells.

The store's pixels count only as far as those steps touch them: they are mapped, and the system
takes them out of memory where it needs room.
"""

import subprocess
import sys
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from leukoscope import measured
from leukoscope.cells.store import Store
from leukoscope.errors import LeukoscopeError
from leukoscope.progress import Bar
from leukoscope.training.judge import EVALUATION_BATCH
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import Trainer

STATUS = Path("/proc/self/status")
"""Where Linux tells a process its peak; elsewhere nothing is measured."""

STEPS = 2
"""The optimizer's state is there from the second on."""


def footprint(config: RunConfig) -> int | None:
    """Return the peak of resident memory of a training by `config`, in bytes.

    It is measured the first time that such a network, batch, size, precision and number of cells
    is asked for.

    Returns:
        None where the system does not tell.

    Raises:
        LeukoscopeError: the steps failed.
    """
    if not STATUS.exists():
        return None
    store, recipe = Store.open(Path(config.store)), config.recipe
    size = store.info.preprocessing.size
    depends = [config.model, *(f"{name}={value}" for name, value in config.model_options.items())]
    depends += [f"batch {recipe.batch_size}", f"parts {config.micro_batch}", f"{size} px"]
    depends += [f"{len(store.labels)} cells", f"augmented {recipe.augmentation}"]
    depends += [recipe.optimizer, f"colour {recipe.colour}"]
    depends += [config.device, config.precision, f"{config.threads} threads"]
    kinds = {
        "compiled": config.compile,
        "activations twice": config.checkpoint_activations,
        "averaged": recipe.averaging,
        "taught": recipe.teacher,
        "mixed": recipe.mixup,
        "momentum": recipe.momentum,
    }
    depends += [name for name, holds in kinds.items() if holds]
    question = f"bytes of training {', '.join(depends)}, torch {torch.__version__}"
    return measured.amount(question, lambda: _measured(config))


def _measured(config: RunConfig) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "leukoscope.training.footprint"],
        input=config.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["its process was killed"]
        raise LeukoscopeError(f"a step of {config.model} was tried, and failed: {told[-1]}")
    peak = int(done.stdout.split()[-1])
    print(
        f"measured here: training {config.model} takes {peak / 2**30:.1f} GiB of memory",
        file=sys.stderr,
    )
    return peak


class Rehearsal(Trainer):
    """A trainer that goes a few steps, and no further."""

    def steps(self) -> None:
        """Train on a few batches, and judge one."""
        bar = Bar("rehearsal", STEPS, "batches")
        self.model.train()
        for batch in islice(self.loader.epoch(0), STEPS):
            self._gradients(batch, bar)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self.judge.logits(self.judging, self.judge.splits["validation"][:EVALUATION_BATCH])


def peak() -> int:
    """Return the highest resident memory of this process so far, in bytes.

    Not what `getrusage` says, which for a new process is at least that of who began it.
    """
    lines = STATUS.read_text(encoding="ascii").splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def main() -> None:
    """Read a configuration from standard input; print the peak of its rehearsal."""
    config = RunConfig.model_validate_json(sys.stdin.read())
    with TemporaryDirectory() as folder:
        Rehearsal(Run.create(Path(folder) / "run", config), None).steps()
    print(peak())


if __name__ == "__main__":
    main()
