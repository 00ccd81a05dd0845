"""ONNX graphs: from pixels to log-odds, preprocessing of colour and turns included.

The graph's input is ``pictures``, (N, H, W, 3) uint8 as `leukoscope.cells.preprocess` makes them,
N any number; its outputs ``log_odds``, (N,) float64, and ``features``, (N, F) float32, what the
first network's classifier sees of the pictures as they lie.
"""

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from leukoscope.training.log_odds import LogOdds

INPUT, OUTPUTS = "pictures", ["log_odds", "features"]


def write_fp32(log_odds: LogOdds, size: int, target: Path) -> None:
    """Write `log_odds` for pictures of `size` × `size` to `target`, its norms folded."""
    pictures = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own parts, to each other
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            _WithFeatures(log_odds),
            (pictures,),
            input_names=[INPUT],
            output_names=OUTPUTS,
            dynamic_shapes={INPUT: {0: torch.export.Dim("cells")}},
            dynamo=True,
            optimize=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    program.save(target, external_data=False)


class _WithFeatures(nn.Module):
    """What a graph computes."""

    def __init__(self, log_odds: LogOdds) -> None:
        super().__init__()
        self.log_odds = log_odds

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return self.log_odds.with_features(pictures)
