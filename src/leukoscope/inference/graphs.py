"""ONNX graphs: from pixels to log-odds, preprocessing of colour and turns included.

The graph's input is ``pictures``, (N, H, W, 3) uint8 as `leukoscope.cells.preprocess` makes them,
N any number; its outputs ``log_odds``, (N,) float64, and ``features``, (N, F) float32, what the
first network's classifier sees of the pictures as they lie.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from leukoscope.training.log_odds import LogOdds

INPUT, OUTPUTS = "pictures", ["log_odds", "features"]

CALIBRATION = 128
"""Training cells whose activations give the ranges of the integers."""
BATCH = 16
"""Pictures at once while they do, all turns of a cell among them."""

KEPT = 99.9999
"""Per cent of activations that the ranges hold: a few far ones would make all steps coarse."""

QUANTISED = ["Conv", "Gemm", "Add", "MaxPool", "Relu", "ReduceMean"]
"""Operators that work on integers; colour and the mean of the turns stay in floating point."""


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


def write_int8(fp32: Path, pictures: NDArray[np.uint8], turns: int, target: Path) -> None:
    """Write the graph `fp32` in integers of 8 bits to `target`.

    Weights by channel, activations by the range they have over `pictures`, training cells, each
    computed `turns` times. Jacob et al. 2018, arXiv:1712.05877.
    """
    shaped = target.with_name(f"shaped-{target.name}")
    calibration = _Calibration(pictures, max(1, BATCH // turns))
    try:
        quant_pre_process(fp32, shaped, skip_symbolic_shape=True)
        with redirect_stdout(StringIO()):  # of its bins, over and over
            quantize_static(
                shaped,
                target,
                calibration,
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTISED,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={
                    "CalibPercentile": KEPT,
                    # One batch at a time, for it holds all activations; of any method.
                    "CalibStridedMinMax": calibration.batch,
                },
            )
    finally:
        shaped.unlink(missing_ok=True)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Hands `pictures` to the calibration, one batch at a time, all of one size, as it asks for."""

    def __init__(self, pictures: NDArray[np.uint8], batch: int) -> None:
        self.batch = min(batch, len(pictures))
        self.pictures = pictures[: len(pictures) // self.batch * self.batch]
        self.left: Iterator[Any] = iter(())

    def __len__(self) -> int:
        return len(self.pictures)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Choose the batch that is handed out next."""
        self.left = iter([{INPUT: self.pictures[start_index:end_index]}])

    def get_next(self) -> Any:
        """Return that batch as onnxruntime is fed, None after it."""
        return next(self.left, None)
