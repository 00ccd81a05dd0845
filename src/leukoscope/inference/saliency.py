"""Saliency: which part of a cell a call rests on.

Both maps are (H, W) float32 over the pixels that the networks see: above 0 speaks for a blast,
below 0 for a normal cell, and both are means over all turns and networks of a bundle.

- Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) asks the deepest stage of each network whose
  map has some detail left. It is fast, and coarse.
- Occlusion (Zeiler and Fergus 2014, arXiv:1311.2901) says by how much log-odds fall, or rise, when
  a square of the cell is painted in the cell's own mean colour. It is what the model really does,
  and slow.
"""

import numpy as np
import torch
from captum.attr import LayerActivation, LayerAttribution, LayerGradCam, Occlusion
from numpy.typing import NDArray
from torch import Tensor, nn

from leukoscope.cells.gather import Batch
from leukoscope.cells.mask import mask
from leukoscope.cells.plans import turned_alike
from leukoscope.models.resnet import ResNet
from leukoscope.training.log_odds import LogOdds

DETAIL = 7
"""Pixels on a side of the coarsest map that Grad-CAM is asked of: ResNet's own at 224 px."""

WINDOW = 1 / 8
"""Side of the square that is painted over, as a share of the picture's; it moves by half."""

AT_ONCE = 16
"""Occluded pictures computed together, all turns of each among them."""

Map = NDArray[np.float32]


def grad_cam(log_odds: LogOdds, pixels: NDArray[np.uint8]) -> Map:
    """Return Grad-CAM of one picture, (H, W, 3) uint8, in log-odds."""
    picture = torch.tensor(pixels)[None]
    maps = [
        _turned_back(_grad_cam(network, standard(_batch(turned_alike(picture, turn)))), turn)
        for network, standard in zip(log_odds.networks, log_odds.standards, strict=True)
        for turn in range(log_odds.turns)
    ]
    return torch.stack(maps).mean(0).numpy()


def occlusion(log_odds: LogOdds, pixels: NDArray[np.uint8]) -> Map:
    """Return by how much log-odds fall when what lies around each pixel is painted over.

    Args:
        log_odds: in evaluation mode.
        pixels: (H, W, 3) uint8.
    """
    side = max(2, round(WINDOW * len(pixels)))
    picture = torch.tensor(pixels)[None].float()
    with torch.inference_mode():
        found = Occlusion(lambda some: log_odds(some.round().to(torch.uint8))).attribute(
            picture,
            sliding_window_shapes=(side, side, 3),
            strides=(side // 2, side // 2, 3),
            baselines=torch.tensor(painted(pixels))[None].float(),
            perturbations_per_eval=max(1, AT_ONCE // log_odds.turns),
        )
    return found[0, ..., 0].float().numpy()  # type: ignore[no-any-return]


def painted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the cell in its own mean colour, on black: its outline, with nothing in it."""
    lit = mask(pixels)
    flat = np.zeros_like(pixels)
    if lit.any():
        flat[lit] = pixels[lit].mean(axis=0).round().astype(np.uint8)
    return flat


def _grad_cam(network: nn.Module, seen: Tensor) -> Tensor:
    """Return the map of one picture as a network sees it, (H, W)."""

    def for_blast(some: Tensor) -> Tensor:
        logits: Tensor = network(some)
        return logits[:, 1] - logits[:, 0]

    stage = _stage(network, seen)
    coarse = LayerGradCam(for_blast, stage).attribute(seen)
    fine = LayerAttribution.interpolate(coarse, tuple(seen.shape[-2:]), "bilinear")
    return fine[0, 0].detach()  # type: ignore[no-any-return]


def _stage(network: nn.Module, seen: Tensor) -> nn.Module:
    """Return the deepest stage of `network` whose map of `seen` is not too coarse."""
    assert isinstance(network, ResNet)
    stages = [network.conv5_x, network.conv4_x, network.conv3_x, network.conv2_x]
    for stage in stages[:-1]:
        with torch.no_grad():
            if LayerActivation(network, stage).attribute(seen).shape[-1] >= DETAIL:
                return stage
    return stages[-1]


def _batch(pictures: Tensor) -> Batch:
    return Batch(pictures.contiguous(), None, torch.empty(0))


def _turned_back(values: Tensor, turn: int) -> Tensor:
    """Return the map (H, W) of a picture that was turned by `turn` as the picture lay before."""
    # A turn with a mirroring undoes itself.
    undone = turn if turn >= 4 else (4 - turn) % 4
    return turned_alike(values[..., None], undone)[..., 0]
