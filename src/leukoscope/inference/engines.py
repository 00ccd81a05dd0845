"""Engines: what computes a bundle's log-odds, and which of them is the fastest on this machine."""

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from leukoscope import measured
from leukoscope.cells.parallel import in_order
from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import Bundle

EngineName = Literal["int8", "fp32", "torch"]

PICTURES = 8
"""Cells of each call by which engines are timed."""


class Told(NamedTuple):
    """What is computed of N pictures.

    Attributes:
        log_odds: (N,) float64, of blast.
        features: (N, F) float32, see `leukoscope.inference.likeness`.
        beyond: (N,) bool, which a graph's integers do not decide, see
            `leukoscope.inference.integers`; None: it has none.
    """

    log_odds: NDArray[np.float64]
    features: NDArray[np.float32]
    beyond: NDArray[np.bool_] | None = None


class Engine(Protocol):
    """What computes."""

    def __call__(self, pictures: NDArray[np.uint8]) -> Told:
        """Return what is told of (N, H, W, 3); any thread may call it."""


class OnnxEngine:
    """A graph, computed by ONNX Runtime on the CPU.

    Args:
        graph: the file.
        threads: that share one call.

    Raises:
        BadInputError: it cannot be computed, or not from this file alone.
    """

    def __init__(self, graph: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait must not keep the cores from those that decode pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # As bytes: of a file, parts could lie in other files, wherever it says.
        content = graph.read_bytes()
        try:
            self.session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own have no common ancestor
            raise BadInputError(f"{graph}: no graph that can be computed ({error})") from error

        held = {output.name for output in self.session.get_outputs()}
        self.outputs = [name for name in Told._fields if name in held]

    def __call__(self, pictures: NDArray[np.uint8]) -> Told:
        """Return what is told of (N, H, W, 3) uint8."""
        return Told(*self.session.run(self.outputs, {"pictures": pictures}))


class IntegerEngine:
    """A graph in integers; cells that these do not decide are computed in floating point.

    Args:
        integers: the graph in integers.
        open_exact: opens the one in floating point, the first time that it is needed.
    """

    def __init__(self, integers: OnnxEngine, open_exact: Callable[[], OnnxEngine]) -> None:
        self.integers, self.open_exact = integers, open_exact
        self.exact: OnnxEngine | None = None
        self.opening = Lock()

    def __call__(self, pictures: NDArray[np.uint8]) -> Told:
        """Return what is told of (N, H, W, 3) uint8."""
        told = self.integers(pictures)
        if told.beyond is not None and told.beyond.any():
            exact = self.opened()(pictures[told.beyond])
            told.log_odds[told.beyond] = exact.log_odds
            told.features[told.beyond] = exact.features
        return told

    def opened(self) -> OnnxEngine:
        """Return the graph in floating point, open."""
        with self.opening:
            self.exact = self.exact or self.open_exact()
        return self.exact


def open_engine(bundle: Bundle, name: EngineName, threads: int) -> Engine:
    """Open that engine of `bundle`.

    Raises:
        BadInputError: the bundle has no such graph, or it is damaged.
    """
    if name == "torch":
        # Not above: it takes seconds, and a bundle is to be used without it.
        from leukoscope.inference.torch_engine import TorchEngine

        return TorchEngine(bundle, threads)
    check = bundle.info.checks[name]
    if check.refused:
        raise BadInputError(f"{bundle.folder} has no {name} engine: {check.refused}")
    if name == "int8":
        return IntegerEngine(_graph(bundle, name, threads), lambda: _graph(bundle, "fp32", threads))
    return _graph(bundle, name, threads)


def _graph(bundle: Bundle, name: EngineName, threads: int) -> OnnxEngine:
    return OnnxEngine(bundle.file(f"{name}.onnx"), threads)


def fastest(bundle: Bundle, threads: int) -> EngineName:
    """Return the engine of `bundle` that is the fastest here, as measured the first time.

    The integers' engine is not always: processors without their instructions are slower at it.

    Args:
        bundle: whose graphs.
        threads: of the CPU; each computes by itself, as in `leukoscope.inference.model`.
    """
    names: list[EngineName] = ["int8", "fp32"]
    held = [name for name in names if not bundle.info.checks[name].refused]
    question = (
        f"engine of {bundle.digest}, {threads} threads, onnxruntime {onnxruntime.__version__}"
    )
    opened = cache(lambda name: _graph(bundle, name, 1))

    def rate(name: EngineName) -> float:
        seconds = _seconds(opened(name), bundle, threads)
        if beyond := bundle.info.checks[name].beyond:
            seconds += beyond * _seconds(opened("fp32"), bundle, threads)
        return 1 / seconds

    return measured.fastest(question, held, rate)


def _seconds(graph: OnnxEngine, bundle: Bundle, threads: int) -> float:
    """Return what a cell takes where `threads` threads compute."""
    size = bundle.info.preprocessing.size
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (PICTURES, size, size, 3), dtype=np.uint8)
    start = time.perf_counter()
    list(in_order(graph, [pictures] * threads, threads))
    return (time.perf_counter() - start) / (threads * PICTURES)
