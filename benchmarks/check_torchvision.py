"""Our networks are torchvision's: one state dict, mapped onto ours, gives the same logits.

torchvision builds v1.5 (stride in the 3×3), so ours are built with ``stride_in="3x3"``.
"""

import sys

import torch
import torchvision

from leukoscope import models

TOLERANCE = 1e-5

STEM = {"conv1.": "conv1.0.", "bn1.": "conv1.1."}
BLOCK = {
    **{f"layer{stage}.": f"conv{stage + 1}_x." for stage in range(1, 5)},
    **{f"conv{number}.": f"conv_block{number}.0." for number in (1, 2, 3)},
    **{f"bn{number}.": f"conv_block{number}.1." for number in (1, 2, 3)},
    "downsample.": "shortcut.",
}


def our_key(key: str) -> str:
    """Return our name for torchvision's parameter `key`."""
    for theirs, ours in (BLOCK if key.startswith("layer") else STEM).items():
        key = key.replace(theirs, ours)
    return key


def difference(name: str) -> float:
    """Return the largest difference of logits, in float64, of 2 random 224 × 224 pictures."""
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None).double()
    for module in theirs.modules():  # norms as after training: nothing is 0 or 1 by default
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    ours = models.create(name, num_classes=1000, stride_in="3x3").double()
    ours.load_state_dict({our_key(key): value for key, value in theirs.state_dict().items()})
    pictures = torch.randn(2, 3, 224, 224, dtype=torch.float64)
    with torch.no_grad():
        expected, got = theirs.eval()(pictures), ours.eval()(pictures)
    return ((got - expected).abs().max() / expected.abs().max()).item()


def main() -> int:
    """Print a line a depth; 1 if any differs."""
    worst = 0.0
    for name in models.names():
        found = difference(name)
        worst = max(worst, found)
        print(f"{name:10} largest relative difference of logits {found:.1e}")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
