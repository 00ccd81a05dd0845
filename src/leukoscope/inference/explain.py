"""Explanations: what of a picture speaks for its call, and which training cells are like it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from leukoscope.cells.pictures import Deferred, Upload, read_picture
from leukoscope.cells.preprocess import preprocess
from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import KNOWN, Bundle
from leukoscope.inference.inputs import subject_of
from leukoscope.inference.model import Model
from leukoscope.inference.saliency import Map, grad_cam, occlusion
from leukoscope.inference.torch_engine import networks
from leukoscope.progress import silent, tracked

NEAREST = 5
"""Training cells named for each picture."""


@dataclass(frozen=True)
class Explanation:
    """One picture, explained.

    Attributes:
        name: of the picture.
        call: its row in the table of calls, see `leukoscope.inference.calls`.
        pixels: (H, W, 3) uint8, what the networks see.
        grad_cam: (H, W), see `leukoscope.inference.saliency`.
        occlusion: likewise.
        nearest: a row a training cell, the nearest first: id, subject, label, distance.
    """

    name: str
    call: pd.Series
    pixels: NDArray[np.uint8]
    grad_cam: Map
    occlusion: Map
    nearest: pd.DataFrame


class Explainer:
    """Explains pictures by a bundle's networks themselves, in PyTorch: the maps are of them.

    Raises:
        BadInputError: the bundle is damaged.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.model, self.log_odds = Model(bundle, "torch"), networks(bundle)
        self.known = pd.read_parquet(bundle.file(KNOWN))

    def __call__(self, file: Path | Upload | Deferred) -> Explanation:
        """Return the explanation of a picture.

        Raises:
            BadInputError: it cannot be read.
        """
        pixels = preprocess(read_picture(file), self.model.bundle.info.preprocessing)
        with torch.inference_mode():
            (features,) = self.log_odds.features(torch.tensor(pixels)[None]).numpy()
        order, distances = self.model.likeness.nearest(features, NEAREST)
        return Explanation(
            file.name,
            self.model.predict([file], [subject_of(file.name)]).iloc[0],
            pixels,
            grad_cam(self.log_odds, pixels),
            occlusion(self.log_odds, pixels),
            self.known.iloc[order].assign(distance=distances.round(3)),
        )


def explain(bundle: Bundle, paths: Sequence[Path | Deferred]) -> Iterator[Explanation]:
    """Yield the explanation of each of `paths`.

    Raises:
        BadInputError: there is none, or one cannot be read, before any is explained.
    """
    if not paths:
        raise BadInputError("no pictures to explain")
    for path in paths:
        read_picture(path)
    explainer = Explainer(bundle)
    for path in tracked(paths, "explaining", len(paths), "cells"):
        with silent():
            explained = explainer(path)
        yield explained
