"""The training loop: one network, one store, one recipe, from scratch to the last epoch.

Nothing inside an epoch waits for the device: losses and counts stay there until they are needed.
"""

import math
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from leukoscope.cells.gather import Batch, Gather
from leukoscope.cells.loader import TrainingLoader
from leukoscope.cells.standard import Standard, sample
from leukoscope.errors import BadInputError
from leukoscope.lock import held
from leukoscope.progress import Bar
from leukoscope.training.apart import lend
from leukoscope.training.checkpoint import (
    Checkpoint,
    Progress,
    random_state,
    restore_random_state,
)
from leukoscope.training.divergence import assert_finite
from leukoscope.training.heap import keep_freed_memory
from leukoscope.training.judge import Judge, merit
from leukoscope.training.lesson import Lesson
from leukoscope.training.machine import threads_for
from leukoscope.training.memory import checkpoint_activations
from leukoscope.training.norms import seen_together, synchronised
from leukoscope.training.optimizer import optimizer_of
from leukoscope.training.passes import Passes
from leukoscope.training.run import Run, Which
from leukoscope.training.stopping import Interrupted, stop_signals
from leukoscope.training.team import ALONE, Team

SAVE_SECONDS = 300.0
"""A checkpoint is written at least this often, also inside an epoch."""

CHECK_BATCHES = 50
"""How many batches apart the losses are looked at: looking waits for the device."""

SAVE, STOP = 1, 2
"""What a process may wish after a batch; the highest wish is what all do."""

AfterEpoch = Callable[[dict[str, float], torch.nn.Module], None]
"""Looks at an epoch's row of the history and at the network, before both are kept.

It must leave them as they are.
"""


def train(
    run: Run,
    resume: Path | None = None,
    after_epoch: AfterEpoch | None = None,
    team: Team = ALONE,
) -> None:
    """Train `run` to the last epoch of its recipe.

    The first weights depend on the run's seed alone, the order of cells on seed and epoch; on the
    CPU of one machine with one number of threads, a run that was stopped and resumed ends with the
    weights, bit for bit, of a run that was not. On CUDA that holds as far as its libraries repeat.

    Args:
        run: new, or one to go on with.
        resume: a checkpoint of `run` to go on from; None starts from scratch.
        after_epoch: what is measured or shown while the network learns.
        team: the processes that train it together, each of which calls this.

    Raises:
        BadInputError: the store or the checkpoint cannot be used, or another process trains `run`.
        Interrupted: on SIGINT or SIGTERM, once a checkpoint is written.
        Diverged: a loss was NaN or infinite; the batch is named.
        OutOfMemory: not even the smallest parts of a batch fit.
    """
    with held(run.folder) if team.first else nullcontext():
        Trainer(run, resume, after_epoch, team).fit()


class Trainer:
    """The state of one training; see `train`."""

    def __init__(
        self,
        run: Run,
        resume: Path | None,
        after_epoch: AfterEpoch | None = None,
        team: Team = ALONE,
    ) -> None:
        config, recipe = run.config, run.config.recipe
        self.run, self.recipe, self.team = run, recipe, team
        self.after_epoch = after_epoch
        torch.set_num_threads(config.threads)
        if not config.checkpoint_activations:  # who asks for them has no memory to spare
            keep_freed_memory()
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = config.precision != "32-true"
        try:
            self.fabric = Fabric(
                accelerator=config.device,
                devices=team.local,
                num_nodes=team.size // team.local,
                precision=config.precision,
                strategy=team.strategy,
            )
            if team.size > 1:
                self.fabric.launch()
        except (RuntimeError, MisconfigurationException) as error:
            raise BadInputError(f"device {config.device} cannot be used: {error}") from error
        store = run.open_store()
        store.verify(team.rank, team.size)
        # Cells of others' shards cannot lie on the device beside one's own.
        whole = team.size == 1 or store.info.shards == 1
        gather = Gather(store, self.fabric.device, often=whole)
        self.loader = TrainingLoader(
            store, recipe.batch_size, config.seed, recipe.balance, gather, team.rank, team.size
        )
        if recipe.colour == "density":
            lend(store, sample(store), team)
        standard = Standard.of(store, recipe.colour, self.fabric.device)
        self.judge = Judge(gather, standard, config.watch_test, team)
        self.lesson = Lesson(recipe, standard, self.loader, team)

        model = config.first_model()
        torch.set_num_threads(threads_for(model, config.threads))
        if config.checkpoint_activations:
            checkpoint_activations(model)
        self.sync_norm = seen_together(model, self.loader, config.sync_norm)
        if self.sync_norm:
            model = synchronised(model, self.fabric.device)
        self.model, self.optimizer = self.fabric.setup(model, optimizer_of(model, recipe))
        self.passes = Passes(
            self.fabric,
            self.model,
            recipe.label_smoothing,
            config.micro_batch,
            team,
            self.sync_norm,
        )
        self.average, self.judging = None, self.model
        if recipe.averaging:
            self.average = AveragedModel(self.model.module, use_buffers=True)
            self.averaged = _weights(self.average.module), _weights(self.model.module)
            self.judging = self.fabric.setup_module(self.average.module)
        if config.compile:
            # A machine without a compiler trains all the same.
            torch._dynamo.config.suppress_errors = True
            torch._dynamo.reset()  # what is compiled counts up to a limit over all networks
            self.model.module.compile(dynamic=False)
        self.progress = Progress(0, 0, *self._no_batches(), 0.0, [], None)
        if resume:
            self._restore(resume)
        self.sizes = self.loader.sizes(self.progress.epoch)

    def fit(self) -> None:
        """Train the epochs that are left."""
        recipe, run = self.recipe, self.run
        done = self.progress.epoch * self.loader.cells
        done += sum(self.sizes[: self.progress.batch])
        total = recipe.epochs * self.loader.cells
        stopping = stop_signals(patient=self.team.size > 1)
        with Bar(run.config.model, total, "images", done) as bar, stopping as stop:
            while self.progress.epoch < recipe.epochs:
                self._epoch(bar, stop)
                if self.team.first:
                    bar.say(_line(run.config.model, self.progress.history[-1], recipe.epochs))

    def _epoch(self, bar: Bar, stop: threading.Event) -> None:
        progress = self.progress
        self.sizes = sizes = self.loader.sizes(progress.epoch)
        started = saved = time.monotonic()
        earlier, first = progress.seconds, progress.batch
        self.model.train()
        for batch in self.loader.epoch(progress.epoch, first):
            rate = self.recipe.rate(progress.epoch + (progress.batch + 1) / len(sizes))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            if self.team.size > 1:
                # The generator's state in a checkpoint is the first process's alone.
                torch.manual_seed(self._draw(progress.epoch, progress.batch))
            logits, loss = self._gradients(batch, bar)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if self.team.size > 1 and not self.sync_norm:
                self.team.level([one for one in self.model.buffers() if one.is_floating_point()])
            if self.average:
                self._follow()

            correct = (logits.argmax(1) == batch.labels).sum()
            figures = self.team.total(torch.stack([loss, correct.to(loss)]))
            progress.losses[progress.batch] = figures[0] / self.team.size
            progress.correct[progress.batch] = figures[1]
            bar.advance(sizes[progress.batch])
            progress.batch += 1
            if progress.batch % CHECK_BATCHES == 0:
                assert_finite(progress, self.team)
            now = time.monotonic()
            progress.seconds = earlier + now - started
            wish = STOP if stop.is_set() else SAVE if now - saved >= SAVE_SECONDS else 0
            if wish := self.team.highest(wish):
                self._save("last")
                saved = now
            if wish == STOP:
                raise Interrupted(
                    self.team.once(
                        f"stopped in epoch {progress.epoch + 1} after batch {progress.batch}; "
                        f"go on with: leukoscope train --resume {self.run.folder}"
                    )
                )
        assert_finite(progress, self.team)
        images = sum(sizes[first:])
        speed = images / (time.monotonic() - started) if images else math.nan
        weights = torch.tensor(sizes, dtype=torch.float64)
        row: dict[str, float] = {
            "epoch": progress.epoch + 1,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": (progress.losses.cpu().double() @ weights / weights.sum()).item(),
            "train_accuracy": progress.correct.sum().item() / weights.sum().item(),
        }
        row |= self.judge(self.judging, progress.epoch + 1)
        row["images_per_second"] = round(speed, 1)
        row["seconds"] = round(earlier + time.monotonic() - started, 1)
        if self.after_epoch:
            self.after_epoch(row, self.judging.module)
        self._close_epoch(row)

    def _gradients(self, batch: Batch, bar: Bar) -> tuple[torch.Tensor, torch.Tensor]:
        """Leave the gradients of a training `batch` in the weights; return its logits and loss."""

        def halved(micro_batch: int) -> None:
            config = self.run.config.model_copy(update={"micro_batch": micro_batch})
            self.run = self.run.configured(config)
            bar.say(
                f"out of memory: batches are passed in parts of {micro_batch} cells from now on; "
                "the steps stay the same, batch norm sees the parts"
            )

        return self.passes(*self.lesson(batch), self.sizes[self.progress.batch], halved)

    def _draw(self, *place: int) -> int:
        """Return what this process's generator begins with at a `place` of the training."""
        entropy = [self.run.config.seed, *place, self.team.rank]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _follow(self) -> None:
        """Move the average of the weights towards those of now.

        `AveragedModel.update_parameters` would wait for the device to read how often it was called.
        """
        steps = self.progress.epoch * len(self.loader) + self.progress.batch
        follow = get_ema_multi_avg_fn(self.recipe.decay(steps))  # type: ignore[no-untyped-call]
        follow(*self.averaged, None)

    def _close_epoch(self, row: dict[str, float]) -> None:
        progress = self.progress
        progress.history.append(row)
        last = self.recipe.keep == "last"
        best = last or progress.best is None or merit(row) > merit(progress.best)
        if best:
            progress.best = row
        progress.epoch, progress.batch, progress.seconds = progress.epoch + 1, 0, 0.0
        progress.losses, progress.correct = self._no_batches()
        if best:
            self._save("best")
        self._save("last")
        if self.team.first:
            self.run.write_history(progress.history)

    def _no_batches(self) -> tuple[torch.Tensor, torch.Tensor]:
        batches, device = len(self.loader), self.fabric.device
        return torch.zeros(batches, device=device), torch.zeros(
            batches, dtype=torch.int64, device=device
        )

    def _save(self, which: Which) -> None:
        assert_finite(self.progress, self.team)
        if not self.team.first:
            return
        checkpoint = Checkpoint(
            self.progress,
            self.model.state_dict(),
            self.optimizer.state_dict(),
            random_state(),
            self.average.state_dict() if self.average else None,
        )
        self.run.save(checkpoint, which)

    def _restore(self, path: Path) -> None:
        checkpoint = self.team.told(lambda: Checkpoint.load(path))
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        if self.average and checkpoint.average:
            self.average.load_state_dict(checkpoint.average)
        restore_random_state(checkpoint.random)
        self.progress = checkpoint.progress
        device = self.fabric.device
        self.progress.losses = self.progress.losses.to(device)
        self.progress.correct = self.progress.correct.to(device)
        # A crash may have fallen between the checkpoint and the table: the checkpoint is right.
        if self.team.first:
            self.run.write_history(self.progress.history)


def _weights(model: torch.nn.Module) -> list[torch.Tensor]:
    """Return parameters and running statistics, without the counts among them."""
    return [value for value in model.state_dict().values() if value.is_floating_point()]


def _line(name: str, row: dict[str, float], epochs: int) -> str:
    return (
        f"{name}  epoch {row['epoch']}/{epochs}  "
        f"train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.4f}  "
        f"validation loss {row['validation_loss']:.4f} "
        f"accuracy {row['validation_accuracy']:.4f}  "
        f"{row['images_per_second']:.0f} images/s"
    )
