"""A graph in integers of 8 bits, which knows where its integers end.

In a deep network a few cells make the last layers say a hundred times what the others do. Ranges
that held those, too, would leave the others a step or two; so ranges are those of the usual cells.
And integers are off by a little, which matters to the cells that are nearly as likely one class as
the other. The graph says which cells are the one or the other, for floating point to compute.
"""

from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto
from onnx.helper import make_node, make_tensor_value_info
from onnx.numpy_helper import from_array
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from scipy.optimize import brentq
from scipy.special import ndtr

from leukoscope.inference.engines import OnnxEngine
from leukoscope.inference.graphs import INPUT, OUTPUTS

BEYOND = "beyond"
"""The third output: (N,) bool, whether a ReLU says more of a cell than its range holds, or integers
may be off by so much that they call it otherwise."""

CALIBRATION = 128
"""Training cells whose activations give the ranges of the integers."""
BATCH = 16
"""Pictures at once while they do, all turns of a cell among them."""

FAR = 10.0
"""How many times what the middle cell does a usual cell makes a layer say, at most."""
HEADROOM = 1.25
"""How much further the ranges go than these cells do, so that few new cells lie beyond them."""
CHANGED = 0.0025
"""Share of the calls of new cells that integers may be expected to change: half of what is allowed
(`leukoscope.inference.export.AGREEMENT`). More cells than that takes are not left open."""

QUANTISED = ["Conv", "Add", "MaxPool", "Relu"]
"""Operators that work on integers. Colour and the classifier, whose features can lie far beyond the
ranges, stay in floating point, which costs nothing."""


def write_int8(
    fp32: Path,
    pictures: NDArray[np.uint8],
    turns: int,
    told: NDArray[np.float64],
    cut: float,
    target: Path,
) -> None:
    """Write the graph `fp32` in integers to `target`, with the output ``beyond``.

    Weights by channel, activations by the range they have over the usual ones of `pictures`,
    training cells, each computed `turns` times; what the log-odds of these are off by on average is
    taken off. Jacob et al. 2018, arXiv:1712.05877; Nagel et al. 2019, arXiv:1906.04721.

    Args:
        fp32: the graph in floating point.
        pictures: (N, H, W, 3).
        turns: of each that `fp32` averages.
        told: (M,) the log-odds of cells that were not trained on.
        cut: the log-odds at which the call changes.
        target: the file.
    """
    batch = max(1, BATCH // turns)
    with TemporaryDirectory(dir=target.parent) as place:
        shaped, bare = Path(place) / "shaped.onnx", Path(place) / "int8.onnx"
        quant_pre_process(fp32, shaped, skip_symbolic_shape=True)
        layers = [node.output[0] for node in onnx.load(shaped).graph.node if node.op_type == "Relu"]
        peaks = _peaks(onnx.load(shaped), layers, turns, pictures, batch)
        usual = (peaks <= FAR * np.median(peaks, axis=0)).all(axis=1)
        pictures, peaks = pictures[usual], peaks[usual]
        highest = np.maximum(HEADROOM * peaks.max(axis=0), np.finfo(np.float32).tiny)
        calibration = _Calibration(pictures, batch)
        with redirect_stdout(StringIO()):
            quantize_static(
                shaped,
                bare,
                calibration,
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTISED,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={
                    "TensorQuantOverrides": {
                        layer: [{"rmin": np.float32(0), "rmax": most}]
                        for layer, most in zip(layers, highest, strict=True)
                    },
                    # One batch at a time, for it holds all activations.
                    "CalibStridedMinMax": calibration.batch,
                },
            )
        off = _log_odds(bare, pictures, batch) - _log_odds(fp32, pictures, batch)
        graph = _shifted(onnx.load(bare), -off.mean())
        least = margin(np.abs(told - cut), off.std())
        onnx.save(_watched(graph, layers, turns, cut, least), target)


def margin(from_cut: NDArray[np.float64], off: float) -> float:
    """Return how far from where the call changes log-odds must lie for integers to decide.

    Args:
        from_cut: (M,) how far from there those of cells that were not trained on lie.
        off: standard deviation of what integers are off by, taken to be normally distributed: a
            call is changed where that leads across the cut, and on by more than the margin.
    """
    off = max(off, 1e-9)  # integers that are off by nothing: a division by it

    def too_many(least: float) -> float:
        return float(ndtr(-(from_cut + least) / off).mean()) - CHANGED

    return float(brentq(too_many, 0, 10 * off)) if too_many(0) > 0 else 0.0


def _peaks(
    model: ModelProto,
    layers: Sequence[str],
    turns: int,
    pictures: NDArray[np.uint8],
    batch: int,
) -> NDArray[np.float32]:
    """Return the highest that each of `layers` says of each cell in any turn: (N, layers)."""
    names = _add_highest(model, layers, turns)
    model.graph.output.extend(
        make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in names
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    starts = range(0, len(pictures), batch)
    told = [session.run(names, {INPUT: pictures[start : start + batch]}) for start in starts]
    return np.concatenate([np.stack(some, axis=1) for some in told])


def _watched(
    model: ModelProto, layers: Sequence[str], turns: int, cut: float, least: float
) -> ModelProto:
    """Return `model`, in integers, with ``beyond``.

    That is where any of `layers` is at the end of its range, or the log-odds are nearer than
    `least` to `cut`.
    """
    names = _add_highest(model, [f"{layer}_QuantizeLinear_Output" for layer in layers], turns)
    graph = model.graph
    constants: dict[str, NDArray[Any]] = {
        "range_end": np.array(255, np.int32),
        "cut": np.array(cut, np.float64),
        "least": np.array(least, np.float64),
    }
    graph.initializer.extend(from_array(value, name) for name, value in constants.items())
    graph.node.extend(
        make_node("Cast", [name], [f"{name}_code"], to=TensorProto.INT32) for name in names
    )
    graph.node.extend(
        (
            make_node("Max", [f"{name}_code" for name in names], ["highest_code"]),
            make_node("Equal", ["highest_code", "range_end"], ["out_of_range"]),
            make_node("Sub", [OUTPUTS[0], "cut"], ["past_cut"]),
            make_node("Abs", ["past_cut"], ["from_cut"]),
            make_node("Less", ["from_cut", "least"], ["open"]),
            make_node("Or", ["out_of_range", "open"], [BEYOND]),
        )
    )
    graph.output.append(make_tensor_value_info(BEYOND, TensorProto.BOOL, ["N"]))
    return model


def _add_highest(model: ModelProto, tensors: Sequence[str], turns: int) -> list[str]:
    """Add the highest of each of `tensors`, (turns * N, C, H, W), by cell; return its names."""
    graph = model.graph
    graph.initializer.append(from_array(np.array([1, 2, 3]), "within_a_look"))
    graph.initializer.append(from_array(np.array([0]), "over_turns"))
    graph.initializer.append(from_array(np.array([turns, -1]), "turns_and_cells"))
    for tensor in tensors:
        look, turned, cell = (f"{tensor}_highest_of_{what}" for what in ("look", "turns", "cell"))
        graph.node.extend(
            (
                make_node("ReduceMax", [tensor, "within_a_look"], [look], keepdims=0),
                make_node("Reshape", [look, "turns_and_cells"], [turned]),
                make_node("ReduceMax", [turned, "over_turns"], [cell], keepdims=0),
            )
        )
    return [f"{tensor}_highest_of_cell" for tensor in tensors]


def _log_odds(graph: Path, pictures: NDArray[np.uint8], batch: int) -> NDArray[np.float64]:
    engine = OnnxEngine(graph, torch.get_num_threads())
    starts = range(0, len(pictures), batch)
    return np.concatenate([engine(pictures[start : start + batch]).log_odds for start in starts])


def _shifted(model: ModelProto, by: float) -> ModelProto:
    """Return `model` with `by` added to its log-odds."""
    log_odds, before = OUTPUTS[0], f"{OUTPUTS[0]}_before"
    for node in model.graph.node:
        node.output[:] = [before if name == log_odds else name for name in node.output]
    model.graph.initializer.append(from_array(np.array(by), "shift"))
    model.graph.node.append(make_node("Add", [before, "shift"], [log_odds]))
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
