"""The run folder: enough to resume, evaluate and report one training.

- ``config.yaml``: the model, the recipe, the store, the machine's settings,
- ``history.csv``: one row an epoch,
- ``checkpoints/last.ckpt``, ``previous.ckpt`` (the last but one) and ``best.ckpt`` (best on
  validation),
- ``environment.json``: versions and machine,
- ``tensorboard/``: the history as event files, where they were asked for,
- ``predictions-<split>.parquet``, ``metrics-<split>.json``: written by the evaluation.
"""

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from leukoscope import models
from leukoscope.cells.division import Division
from leukoscope.cells.standard import Standard
from leukoscope.cells.store import Store
from leukoscope.cores import cores
from leukoscope.errors import BadInputError, faults
from leukoscope.files import write_text
from leukoscope.lock import held
from leukoscope.models.resnet import silence_branches
from leukoscope.spreadsheet import write_csv
from leukoscope.training.checkpoint import Checkpoint, newest
from leukoscope.training.machine import Device, Precision, settled
from leukoscope.training.recipe import Recipe, recipe
from leukoscope.yaml_file import read_yaml

Which = Literal["best", "last"]

PACKAGES = ("leukoscope", "torch", "lightning-fabric", "numpy", "pandas", "pillow", "scikit-learn")

TIMES = ["images_per_second", "seconds"]
"""Columns of a history that no two runs share."""

NO_HISTORY = pd.DataFrame({"epoch": []})

MACHINE = {
    "device",
    "precision",
    "compile",
    "threads",
    "micro_batch",
    "checkpoint_activations",
    "sync_norm",
}
"""Settings of a run that may change between two sittings."""


class RunConfig(BaseModel):
    """What ``config.yaml`` says.

    Attributes:
        model: a name, as for `leukoscope.models.create`.
        model_options: likewise.
        recipe: how it is trained.
        seed: of the first weights and of the order of cells.
        store: absolute path.
        store_digest: what tells the store from another.
        division: how its cells are divided, None: as they were prepared.
        watch_test: note loss and accuracy on the test split each epoch, as the original lab did.
            Nothing is ever chosen by them.
        device: as lightning-fabric names accelerators.
        precision: as lightning-fabric names precisions.
        compile: the network, by torch's compiler; where that fails it is trained as it is.
        threads: of the CPU; a run repeats bit for bit for the same number.
        micro_batch: cells that pass the network at once, None: the recipe's whole batch. Steps stay
            the recipe's, but batch norm sees these.
        checkpoint_activations: compute them twice instead of keeping them.
        sync_norm: whether batch norm sees the shares of all processes that train together, None:
            where a share is small.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: str
    model_options: dict[str, Any] = {}
    recipe: Recipe
    seed: int = 0
    store: str
    store_digest: str
    division: Division | None = None
    watch_test: bool = False
    device: Device = "auto"
    precision: Precision = "32-true"
    compile: bool = False
    threads: int
    micro_batch: int | None = Field(default=None, ge=2)
    checkpoint_activations: bool = False
    sync_norm: bool | None = None

    @model_validator(mode="after")
    def _settings_belong_together(self) -> "RunConfig":
        if self.compile and self.checkpoint_activations:
            raise BadInputError(
                "a compiled network cannot compute its activations twice: choose --no-compile or "
                "no --checkpoint-activations"
            )
        return self

    def same_work(self, other: "RunConfig") -> bool:
        """Tell whether only the machine's settings tell this run from `other`."""
        return self.model_dump(exclude=MACHINE) == other.model_dump(exclude=MACHINE)

    def first_model(self) -> torch.nn.Module:
        """Return the network as it is before the first step, channels last, on the CPU.

        torch's generator starts from the seed for it.
        """
        torch.manual_seed(self.seed)
        model = models.create(self.model, **self.model_options)
        if self.recipe.zero_init_residual:
            silence_branches(model)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    @classmethod
    def plan(
        cls,
        store: Path,
        model: str,
        recipe_name: str,
        overrides: Sequence[str] = (),
        **settings: Any,
    ) -> "RunConfig":
        """Return the configuration of a run on `store`, everything checked before any work.

        Args:
            store: its folder.
            model: a name.
            recipe_name: as for `leukoscope.training.recipe.recipe`.
            overrides: likewise.
            settings: other fields; precision and compile may be None: what pays on this machine.

        Raises:
            BadInputError: no such store, model, recipe or device, the model takes no such options,
                the store cannot be divided so, its test split has no labels to watch, or a network
                that is compiled is to compute its activations twice.
        """
        models.parameters(model, **settings.get("model_options", {}))
        chosen, opened = recipe(recipe_name, overrides), Store.open(store)
        division = settings.get("division") or opened.info.division
        cells = opened.placed(division)
        if settings.get("watch_test"):
            tested = cells.loc[cells["split"].eq("test").fillna(False), "label"]
            if tested.empty or tested.isna().any():
                raise BadInputError(f"{store}: the test split has no labels to watch")
        return cls(
            model=model,
            recipe=chosen,
            store=str(store.resolve()),
            store_digest=opened.digest,
            **settled(settings),
        )


@dataclass(frozen=True)
class Run:
    """A run folder, opened."""

    folder: Path
    config: RunConfig

    @classmethod
    def create(cls, folder: Path, config: RunConfig) -> "Run":
        """Start the folder of a new run.

        Raises:
            BadInputError: `folder` holds a run already.
        """
        if cls.exists(folder):
            raise BadInputError(
                f"{folder} already holds a run; go on with `leukoscope train --resume {folder}`, "
                "or choose another folder"
            )
        write_text(folder / "environment.json", json.dumps(environment(), indent=2) + "\n")
        return cls(folder, config).configured(config)

    def configured(self, config: RunConfig) -> "Run":
        """Replace ``config.yaml``; return the run as it says.

        Raises:
            BadInputError: another process trains it.
        """
        told = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        with held(self.folder):
            write_text(self.folder / "config.yaml", told)
        return replace(self, config=config)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Tell whether `folder` holds a run."""
        return (folder / "config.yaml").exists()

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Open the run in `folder`.

        Raises:
            BadInputError: no run there, or a damaged configuration.
        """
        if not cls.exists(folder):
            raise BadInputError(f"{folder} is no run: it has no config.yaml")
        try:
            return cls(folder, RunConfig.model_validate(read_yaml(folder / "config.yaml")))
        except ValidationError as error:
            raise BadInputError(
                f"{folder / 'config.yaml'} cannot be read:{faults(error)}"
            ) from error

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch from 1: learning_rate, of each split loss and accuracy, of those that
        do not train auroc, and speed.

        Raises:
            BadInputError: it cannot be read.
        """
        path = self.folder / "history.csv"
        if not path.exists():
            return NO_HISTORY
        try:
            return pd.read_csv(path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise BadInputError(
                f"{path}: cannot be read ({error}); `train --resume` writes it anew"
            ) from error

    @property
    def finished(self) -> bool:
        """Whether every epoch of the recipe is done."""
        return len(self.history) >= self.config.recipe.epochs

    @property
    def environment(self) -> dict[str, Any]:
        """Versions and machine.

        Raises:
            BadInputError: they cannot be read.
        """
        path = self.folder / "environment.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BadInputError(f"{path}: cannot be read ({error})") from error

    def checkpoint(self, which: Which) -> Path:
        """Return where that checkpoint lies."""
        return self.folder / "checkpoints" / f"{which}.ckpt"

    def save(self, checkpoint: Checkpoint, which: Which) -> None:
        """Write a checkpoint; the last one stays beside it as the previous one."""
        path = self.checkpoint(which)
        if which == "last" and path.exists():
            path.replace(self._previous)
        checkpoint.save(path)

    def newest_checkpoint(self) -> Path | None:
        """Return the checkpoint to go on from: the last one that is whole, None: there is none.

        Raises:
            BadInputError: none is whole.
        """
        return newest([self.checkpoint("last"), self._previous])

    @property
    def _previous(self) -> Path:
        return self.folder / "checkpoints" / "previous.ckpt"

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Replace ``history.csv``."""
        table = pd.DataFrame(rows) if rows else NO_HISTORY
        write_csv(table, self.folder / "history.csv")

    def open_store(self) -> Store:
        """Open the store that this run trains on, divided as it says.

        Raises:
            BadInputError: it has gone, or another stands in its place.
        """
        store = Store.open(Path(self.config.store))
        if store.digest != self.config.store_digest:
            raise BadInputError(
                f"{store.folder} is not the store that {self.folder} was trained on: "
                "it was prepared anew since"
            )
        division = self.config.division
        return _divided(store.folder, store.digest, division) if division else store

    def standard(self, device: torch.device | str = "cpu") -> Standard:
        """Return what makes stored pixels what this run's network sees."""
        return Standard.of(self.open_store(), self.config.recipe.colour, device)

    def load_model(self, which: Which = "best") -> torch.nn.Module:
        """Return the trained network, in evaluation mode, channels last, on the CPU."""
        model = models.create(self.config.model, **self.config.model_options)
        model.load_state_dict(Checkpoint.load(self.checkpoint(which)).judged)
        return model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@lru_cache(maxsize=8)
def _divided(folder: Path, digest: str, division: Division) -> Store:
    """Return the store of that digest under another division, which costs a pass over its pixels.

    An evaluation asks for it several times.
    """
    return Store.open(folder).divided(division)


def runs_below(folder: Path) -> list[Run]:
    """Return the runs in `folder`, or one below it, as `leukoscope compare` lays them.

    Raises:
        BadInputError: there is none.
    """
    found = [path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/config.yaml")]
    if not found:
        raise BadInputError(f"{folder} holds no runs; make them with `leukoscope compare`")
    return [Run.open(place) for place in sorted(found)]


def environment() -> dict[str, Any]:
    """Return what weights may depend on beside configuration and store: versions, machine."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": cores(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "packages": {name: version(name) for name in PACKAGES},
    }
