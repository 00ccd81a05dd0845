"""Explanations: what of a picture speaks for its call, and which training cells are like it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from leukoscope.cells.preprocess import preprocess, read_picture
from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import KNOWN, Bundle
from leukoscope.inference.model import Model
from leukoscope.inference.saliency import Map, grad_cam, occlusion
from leukoscope.inference.torch_engine import networks
from leukoscope.progress import tracked

NEAREST = 5
"""Training cells named for each picture."""


@dataclass(frozen=True)
class Explanation:
    """One picture, explained.

    Attributes:
        path: of the picture.
        call: its row in the table of calls, see `leukoscope.inference.calls`.
        pixels: (H, W, 3) uint8, what the networks see.
        grad_cam: (H, W), see `leukoscope.inference.saliency`.
        occlusion: likewise.
        nearest: a row a training cell, the nearest first: id, subject, label, distance.
    """

    path: Path
    call: pd.Series
    pixels: NDArray[np.uint8]
    grad_cam: Map
    occlusion: Map
    nearest: pd.DataFrame


def explain(bundle: Bundle, paths: Sequence[Path]) -> Iterator[Explanation]:
    """Yield the explanation of each of `paths`.

    Pictures are called by the networks themselves, in PyTorch, for it is them that the maps are of.

    Raises:
        BadInputError: there is none, or one cannot be read, before any is explained.
    """
    if not paths:
        raise BadInputError("no pictures to explain")
    model, log_odds = Model(bundle, "torch"), networks(bundle)
    known = pd.read_parquet(bundle.file(KNOWN))
    calls = model.predict(paths)
    for reason in calls["reason"].dropna():
        raise BadInputError(reason)
    rows = zip(paths, calls.iterrows(), strict=True)
    for path, (_, call) in tracked(rows, "explaining", len(paths), "cells"):
        pixels = preprocess(read_picture(path), bundle.info.preprocessing)
        with torch.inference_mode():
            (features,) = log_odds.features(torch.tensor(pixels)[None]).numpy()
        order, distances = model.likeness.nearest(features, NEAREST)
        yield Explanation(
            path,
            call,
            pixels,
            grad_cam(log_odds, pixels),
            occlusion(log_odds, pixels),
            known.iloc[order].assign(distance=distances.round(3)),
        )
