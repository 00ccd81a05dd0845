"""Claim: an epoch on the CPU trains at least 1.25 × as fast as torchvision's reference loop.

The same network, batch and precision on the same phantom cells, 450 × 450 BMPs at 224 px, on all
cores: torchvision's loop as its references write it, timm's, fastai's and ultralytics', each with
workers that read pictures, and ours from its store. Ours in bfloat16 stands beside them, for that
is what it does by default where it pays. Rounds alternate; none counts its first.
"""

import argparse
import os

os.environ |= {"YOLO_OFFLINE": "True", "YOLO_VERBOSE": "False"}  # before ultralytics is imported

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import timm
import timm.data
import torch
import torch.nn.functional as F
import torchvision
import yaml
from fastai.vision.all import (
    SGD,
    CrossEntropyLossFlat,
    ImageDataLoaders,
    Learner,
    Normalize,
    RandomResizedCrop,
)
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from ultralytics.models.yolo.classify import ClassificationTrainer

from common import CORES, Epochs, phantom_cells, tell
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.cells.store import Store
from leukoscope.training.machine import Precision
from leukoscope.training.run import Run, RunConfig

SIZE, ROUNDS = 224, 3
CELLS = {"resnet18": 320, "resnet50": 192, "resnet152": 128}
"""In an epoch: half a minute or more of each way."""

FEATURES = {"resnet18": 512, "resnet50": 2048, "resnet152": 2048}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Epoch = Callable[[], float]
"""Trains an epoch; returns pictures a second."""


def ours(
    store: Store, _: Path, name: str, batch: int, place: Path, precision: Precision = "32-true"
) -> Epoch:
    """Return our epoch."""
    machine = {"threads": CORES, "device": "cpu", "precision": precision}
    config = RunConfig.plan(store.folder, name, "lab", [f"batch_size={batch}"], **machine)
    epochs = Epochs(Run.create(place / precision, config), None)

    def epoch() -> float:
        torch.set_num_threads(CORES)  # others leave fewer behind
        return epochs.loader.cells / epochs.seconds()

    return epoch


def torchvision_s(_: Store, pictures: Path, name: str, batch: int, _place: Path) -> Epoch:
    """Return an epoch as in torchvision's references/classification/train.py, with our flips."""
    turn = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
    seen = v2.Compose(
        [
            v2.Resize(SIZE, antialias=True),
            v2.CenterCrop(SIZE),
            *turn,
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    data = ImageFolder(str(pictures), seen)
    loader = DataLoader(data, batch, shuffle=True, num_workers=CORES, pin_memory=False)
    model = getattr(torchvision.models, name)(num_classes=2)
    return _plain(model, loader, len(data))


def timm_s(_: Store, pictures: Path, name: str, batch: int, _place: Path) -> Epoch:
    """Return an epoch over timm's own loader and network."""
    data = ImageFolder(str(pictures))  # timm's own reads no BMP
    loader = timm.data.create_loader(
        data, (3, SIZE, SIZE), batch, is_training=True, use_prefetcher=False, num_workers=CORES
    )
    return _plain(timm.create_model(name, num_classes=2), loader, len(data) // batch * batch)


def fastai_s(_: Store, pictures: Path, name: str, batch: int, _place: Path) -> Epoch:
    """Return an epoch of fastai's learner."""
    data = ImageDataLoaders.from_folder(
        pictures,
        valid_pct=0.01,
        item_tfms=RandomResizedCrop(SIZE),
        batch_tfms=[Normalize.from_stats(MEAN, STD)],
        bs=batch,
        num_workers=CORES,
        device=torch.device("cpu"),
    )
    model = getattr(torchvision.models, name)(num_classes=2)
    learner = Learner(data, model, CrossEntropyLossFlat(), opt_func=SGD, metrics=[])

    def epoch() -> None:
        with learner.no_bar(), learner.no_logging():
            learner.fit(1, 1e-3)

    return partial(_rate, epoch, len(data.train) * batch)


def ultralytics_s(_: Store, pictures: Path, name: str, batch: int, place: Path) -> Epoch:
    """Return an epoch of ultralytics' classification, under its own head."""
    for split in ("train", "val"):
        (place / "data").mkdir(exist_ok=True)
        (place / "data" / split).symlink_to(pictures, target_is_directory=True)
    network = {
        "nc": 2,
        "backbone": [[-1, 1, "TorchVision", [FEATURES[name], name, None, True, 2]]],
        "head": [[-1, 1, "Classify", ["nc"]]],
    }
    (place / f"{name}-cls.yaml").write_text(yaml.safe_dump(network), encoding="utf-8")
    settings = {
        "model": str(place / f"{name}-cls.yaml"),
        "data": str(place / "data"),
        "project": str(place / "runs"),
        "imgsz": SIZE,
        "batch": batch,
        "epochs": 1,
        "device": "cpu",
        "workers": CORES,
        "pretrained": False,
        "optimizer": "SGD",
        **dict.fromkeys(("amp", "val", "plots", "save", "verbose"), False),
    }

    def epoch() -> float:
        times = []
        trainer = ClassificationTrainer(overrides=settings)
        for moment in ("on_train_epoch_start", "on_train_epoch_end"):
            trainer.add_callback(moment, lambda _: times.append(time.perf_counter()))
        torch.set_num_threads(CORES)
        trainer.train()
        return len(trainer.train_loader.dataset) / (times[1] - times[0])

    return epoch


def _plain(model: torch.nn.Module, loader: DataLoader, pictures: int) -> Epoch:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def epoch() -> None:
        torch.set_num_threads(CORES)
        model.train()
        for some, labels in loader:
            loss = F.cross_entropy(model(some), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()  # the references log each step

    return partial(_rate, epoch, pictures)


def _rate(epoch: Callable[[], None], pictures: int) -> float:
    started = time.perf_counter()
    epoch()
    return pictures / (time.perf_counter() - started)


WAYS = {
    "ours": ours,
    "ours_in_bfloat16": partial(ours, precision="bf16-mixed"),
    "torchvision": torchvision_s,
    "timm": timm_s,
    "fastai": fastai_s,
    "ultralytics": ultralytics_s,
}
DEEP = {way: WAYS[way] for way in ("ours", "ours_in_bfloat16", "torchvision")}
"""Of deeper networks, whose epochs take minutes: what the claim is about."""


def rounds(ways: dict[str, Epoch], count: int) -> Iterator[tuple[str, float]]:
    """Yield, alternating, each way's pictures a second, in `count` rounds after one in vain."""
    for number in range(count + 1):
        for way, epoch in ways.items():
            rate = epoch()
            if number:
                yield way, rate


def main() -> None:
    """Measure one network and batch, or each that the claim names."""
    words = argparse.ArgumentParser()
    words.add_argument("--models", default=",".join(CELLS))
    words.add_argument("--batches", default="16,64")
    words.add_argument("--rounds", type=int, default=ROUNDS)
    asked = words.parse_args()
    for name in asked.models.split(","):
        asked_ways = WAYS if name == "resnet18" else DEEP
        with phantom_cells(CELLS[name]) as folder:
            (pictures,) = folder.rglob("fold_0")
            store = prepare(read_sources([folder / "cells"]).cells, folder / "store", size=SIZE)
            for batch in map(int, asked.batches.split(",")):
                rates: dict[str, list[float]] = {way: [] for way in asked_ways}
                with tempfile.TemporaryDirectory() as place:
                    ways = {
                        way: build(store, pictures, name, batch, Path(place))
                        for way, build in asked_ways.items()
                    }
                    for way, found in rounds(ways, asked.rounds):
                        rates[way].append(found)
                medians = {way: statistics.median(found) for way, found in rates.items()}
                tell(
                    f"train-{name}-{batch}",
                    f"{name}, batch {batch}, {SIZE} px: pictures trained on a second",
                    "images/s",
                    rates.pop("ours"),
                    **{way: medians[way] for way in rates},
                    times_torchvision=medians["ours"] / medians["torchvision"],
                )


if __name__ == "__main__":
    main()
