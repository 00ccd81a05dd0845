"""What of a machine is used where the user leaves it open: precision, and compiling."""

import time
from contextlib import nullcontext
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import nn

from leukoscope import measured
from leukoscope.errors import BadInputError

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32-true", "bf16-mixed", "64-true"]

LEAD = 1.2
"""How many times as fast bfloat16 has to be on a CPU to be worth its rounding."""

FEWEST = 16
"""Filters of a convolution that torch can differentiate on several threads of a CPU: with 12 and
fewer, channels last, torch 2.13 writes beyond its memory in a few steps, and the process ends."""

BATCH, CHANNELS, SIDE = 8, 128, 28
"""Of the convolution that decides: one of ResNet-18's middle at 224 px."""


def device_of(device: Device) -> torch.device:
    """Return what lightning-fabric computes on.

    Raises:
        BadInputError: this machine has no such device.
    """
    try:
        return Fabric(accelerator=device, devices=1).device
    except RuntimeError as error:
        raise BadInputError(f"device {device} cannot be used: {error}") from error


def judging_device(trained_on: Device) -> torch.device:
    """Return where a network is judged that was asked to be `trained_on` a device.

    On CUDA where there is any, though it was trained elsewhere; else on the CPU, since what is
    said of cells is added up in float64, which MPS has not.
    """
    anywhere = trained_on != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if anywhere else "cpu")


def threads_for(network: nn.Module, threads: int) -> int:
    """Return how many of `threads` a CPU may train `network` on: all, or one, see `FEWEST`."""
    filters = [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    return threads if min(filters) >= FEWEST else 1


def settled(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a run's `settings` with what pays on this machine where they are None.

    On CUDA that is bfloat16 and a compiled network; on a CPU bfloat16 only where a convolution,
    timed the first time, gains by it, and nothing is compiled: it gained nothing when measured.

    Args:
        settings: fields of `RunConfig`, among them what the answer depends on.

    Raises:
        BadInputError: this machine has no such device.
    """
    left_open = [name for name, value in settings.items() if value is None]
    found: dict[str, Any] = {}
    if "precision" in left_open or "compile" in left_open:
        kind = device_of(settings.get("device", "auto")).type
        if "precision" in left_open:
            found["precision"] = _precision(kind, settings["threads"])
        if "compile" in left_open:
            # What is computed twice must not be compiled: torch cannot tell the passes apart.
            found["compile"] = kind == "cuda" and not settings.get("checkpoint_activations")
    return settings | found


def _precision(kind: str, threads: int) -> Precision:
    if kind == "cpu":
        torch.set_num_threads(threads)
        among: list[Precision] = ["32-true", "bf16-mixed"]
        question = f"precision of training, {threads} threads, torch {torch.__version__}"
        return measured.fastest(question, among, _rate, LEAD)
    return "bf16-mixed" if kind == "cuda" and torch.cuda.is_bf16_supported(False) else "32-true"


def _rate(precision: Precision) -> float:
    """Return how many cells a second pass a convolution, forward and backward."""
    convolution = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
    cells = torch.rand(BATCH, CHANNELS, SIDE, SIDE, requires_grad=True)
    cells = cells.to(memory_format=torch.channels_last)
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16) if precision == "bf16-mixed" else nullcontext():
        convolution(cells).sum().backward()
    return BATCH / (time.perf_counter() - start)
