"""Claim: ResNet-152, batch 16, 224 px, trains in at least 30 % less memory with checkpoints.

The peer is the same step with every activation kept. Each runs in a process of its own, whose
highest resident memory the system tells.
"""

import resource
import subprocess
import sys

import torch
import torch.nn.functional as F

from common import tell
from leukoscope import models
from leukoscope.training.heap import keep_freed_memory
from leukoscope.training.memory import checkpoint_activations

BATCH, SIZE, STEPS = 16, 224, 3
RUNS = 3


def peak(checkpoints: bool) -> float:
    """Return the highest resident memory of a process that trains so, in GiB."""
    words = [sys.executable, __file__, "checkpoints" if checkpoints else "plain"]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def step(checkpoints: bool) -> None:
    """Train a few steps and print the highest resident memory in GiB."""
    model = models.create("resnet152").to(memory_format=torch.channels_last)
    if checkpoints:
        checkpoint_activations(model)
    else:
        keep_freed_memory()  # as the trainer does
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    pictures = torch.rand(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    for _ in range(STEPS):
        F.cross_entropy(model(pictures), torch.arange(BATCH) % 2).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)


def main() -> None:
    """Measure both, alternating."""
    pairs = [(peak(True), peak(False)) for _ in range(RUNS)]
    tell(
        "memory",
        f"ResNet-152, batch {BATCH}, {SIZE} px: peak memory with checkpointed activations",
        "GiB",
        [less for less, _ in pairs],
        plain=min(whole for _, whole in pairs),
        share_of_plain=max(less / whole for less, whole in pairs),
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        step(sys.argv[1] == "checkpoints")
    else:
        main()
