"""The networks of a bundle in PyTorch: what its graphs were made of."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from leukoscope import models
from leukoscope.cells.standard import Standard
from leukoscope.inference.bundle import WEIGHTS, Bundle
from leukoscope.inference.engines import Told
from leukoscope.training.log_odds import LogOdds


class TorchEngine:
    """The networks, computed by PyTorch on the CPU by `threads` threads."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self.log_odds, self.threads = networks(bundle), threads

    @torch.inference_mode()
    def __call__(self, pictures: NDArray[np.uint8]) -> Told:
        """Return what is told of (N, H, W, 3) uint8."""
        torch.set_num_threads(self.threads)
        log_odds, features = self.log_odds.with_features(torch.from_numpy(pictures))
        return Told(log_odds.numpy(), features.numpy())


def networks(bundle: Bundle) -> LogOdds:
    """Return what `bundle` was made of, from its weights; those of the last one are kept.

    Raises:
        BadInputError: the weights are missing or damaged.
    """
    return _loaded(bundle.folder, bundle.digest)


@lru_cache(maxsize=1)
def _loaded(folder: Path, digest: str) -> LogOdds:
    """Load the bundle in `folder`; its `digest` tells it from a later one in its place."""
    bundle = Bundle.open(folder)
    info = bundle.info
    held = [models.create(network.model, **network.options) for network in info.networks]
    standards = [
        Standard(network.colour, torch.tensor(network.mean), torch.tensor(network.mixing))
        for network in info.networks
    ]
    log_odds = LogOdds(held, standards, info.turns)
    log_odds.networks.load_state_dict(load_file(bundle.file(WEIGHTS)))
    return log_odds.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
