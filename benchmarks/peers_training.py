"""Claim: an epoch on the CPU trains at least 1.25 × as fast as torchvision's reference loop.

The same network, batch and precision on the same phantom cells, 450 × 450 BMPs at 224 px, on all
cores: torchvision's loop as its references write it, timm's and fastai's, each with Pillow reading
pictures in workers, and ours from its store. Rounds alternate; none counts its first.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import timm
import timm.data
import torch
import torch.nn.functional as F
import torchvision
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

from common import Epochs, phantom_cells, tell
from leukoscope.cells.sources import read_sources
from leukoscope.cells.store import Store, prepare
from leukoscope.training.run import Run, RunConfig

SIZE, CELLS, ROUNDS = 224, 320, 3
CORES = os.cpu_count() or 1
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Epoch = Callable[[], int]
"""Trains an epoch; returns how many pictures it had."""


def ours(store: Store, _: Path, name: str, batch: int, place: Path) -> Epoch:
    """Return our epoch."""
    settings = [f"batch_size={batch}"]
    config = RunConfig.plan(store.folder, name, "lab", settings, threads=CORES, device="cpu")
    epochs = Epochs(Run.create(place / "run", config), None)

    def epoch() -> int:
        epochs.seconds()
        return epochs.loader.cells

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

    def epoch() -> int:
        with learner.no_bar(), learner.no_logging():
            learner.fit(1, 1e-3)
        return len(data.train) * batch

    return epoch


def _plain(model: torch.nn.Module, loader: DataLoader, pictures: int) -> Epoch:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def epoch() -> int:
        torch.set_num_threads(CORES)
        model.train()
        for some, labels in loader:
            loss = F.cross_entropy(model(some), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()  # the references log each step
        return pictures

    return epoch


PEERS = {"ours": ours, "torchvision": torchvision_s, "timm": timm_s, "fastai": fastai_s}


def rounds(ways: dict[str, Epoch]) -> Iterator[tuple[str, float]]:
    """Yield, alternating, each way's pictures a second."""
    for number in range(ROUNDS + 1):
        for way, epoch in ways.items():
            started = time.perf_counter()
            pictures = epoch()
            if number:
                yield way, pictures / (time.perf_counter() - started)


def main() -> None:
    """Measure one network and batch, or each that the claim names."""
    words = argparse.ArgumentParser()
    words.add_argument("--models", default="resnet18,resnet50,resnet152")
    words.add_argument("--batches", default="16,64")
    asked = words.parse_args()
    with phantom_cells(CELLS) as folder:
        (pictures,) = folder.rglob("fold_0")
        store = prepare(read_sources([folder / "cells"]).cells, folder / "store", size=SIZE)
        for name in asked.models.split(","):
            for batch in map(int, asked.batches.split(",")):
                rates: dict[str, list[float]] = {way: [] for way in PEERS}
                with tempfile.TemporaryDirectory() as place:
                    ways = {
                        way: build(store, pictures, name, batch, Path(place))
                        for way, build in PEERS.items()
                    }
                    for way, found in rounds(ways):
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
