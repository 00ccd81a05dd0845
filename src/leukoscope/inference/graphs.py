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
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
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

from leukoscope.inference.engines import OnnxEngine
from leukoscope.training.log_odds import LogOdds

INPUT, OUTPUTS = "pictures", ["log_odds", "features"]

CALIBRATION = 128
"""Training cells whose activations give the ranges of the integers."""
BATCH = 16
"""Pictures at once while they do, all turns of a cell among them."""

KEPT = 99.9999
"""Per cent of activations that the ranges hold where a few far ones would make all steps coarse."""

QUANTISED = ["Conv", "Add", "MaxPool", "Relu"]
"""Operators that work on integers. Colour and the classifier, whose features can lie far beyond the
ranges, stay in floating point, which costs nothing."""


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
    computed `turns` times: by the whole range or by most of it, whichever leaves the log-odds of
    these cells nearer; what they are off by on average is taken off. Jacob et al. 2018,
    arXiv:1712.05877; Nagel et al. 2019, arXiv:1906.04721.
    """
    batch = max(1, BATCH // turns)
    exact = _log_odds(fp32, pictures, batch)
    nearest = np.inf
    with TemporaryDirectory(dir=target.parent) as place:
        shaped, candidate = Path(place) / "shaped.onnx", Path(place) / "int8.onnx"
        quant_pre_process(fp32, shaped, skip_symbolic_shape=True)
        for method in (CalibrationMethod.MinMax, CalibrationMethod.Percentile):
            calibration = _Calibration(pictures, batch)
            with redirect_stdout(StringIO()):  # of its bins, over and over
                quantize_static(
                    shaped,
                    candidate,
                    calibration,
                    quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=QUANTISED,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    calibrate_method=method,
                    extra_options={
                        "CalibPercentile": KEPT,
                        # One batch at a time, for it holds all activations; of any method.
                        "CalibStridedMinMax": calibration.batch,
                    },
                )
            off = _log_odds(candidate, pictures, batch) - exact
            if off.std() < nearest:
                nearest = off.std()
                onnx.save(_shifted(onnx.load(candidate), -off.mean()), target)


def _log_odds(graph: Path, pictures: NDArray[np.uint8], batch: int) -> NDArray[np.float64]:
    engine = OnnxEngine(graph, torch.get_num_threads())
    starts = range(0, len(pictures), batch)
    return np.concatenate([engine(pictures[start : start + batch]).log_odds for start in starts])


def _shifted(model: onnx.ModelProto, by: float) -> onnx.ModelProto:
    """Return `model` with `by` added to its log-odds."""
    log_odds, before = OUTPUTS[0], f"{OUTPUTS[0]}_before"
    for node in model.graph.node:
        node.output[:] = [before if name == log_odds else name for name in node.output]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(by), "shift"))
    model.graph.node.append(onnx.helper.make_node("Add", [before, "shift"], [log_odds]))
    return model


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
