"""Saliency: that it says where the evidence is, by answers that are known."""

import numpy as np
import pytest
import torch
from torch import nn

from leukoscope.cells.mask import mask
from leukoscope.cells.plans import TURNS, turned_alike
from leukoscope.cells.standard import Standard
from leukoscope.cells.store import Store
from leukoscope.inference.saliency import DETAIL, _turned_back, grad_cam, occlusion, painted
from leukoscope.models import create
from leukoscope.training.log_odds import LogOdds

SIDE = 64
GREY = 100


def test_a_map_is_turned_back_as_its_picture_was_turned() -> None:
    values = torch.arange(12.0 * 12).view(12, 12)
    for turn in range(TURNS):
        turned = turned_alike(values[..., None], turn)[..., 0]
        assert torch.equal(_turned_back(turned, turn), values)


def test_occlusion_finds_the_square_that_alone_counts() -> None:
    """A model whose log-odds are the redness of one square of the picture."""

    class Square(nn.Module):
        turns = 1

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures[:, 40:48, 16:24, 0].double().mean((1, 2))

    pixels = np.full((SIDE, SIDE, 3), 100, np.uint8)
    pixels[40:48, 16:24, 0] = 250
    found = occlusion(Square(), pixels)
    inside = np.zeros((SIDE, SIDE), bool)
    inside[36:52, 12:28] = True
    assert found[40:48, 16:24].min() > 10
    assert np.abs(found[~inside]).max() == 0


def test_painting_leaves_nothing_but_the_outline(store: Store) -> None:
    pixels = np.array(store.pixels[0])
    flat, lit = painted(pixels), mask(pixels)
    assert (flat[~lit] == 0).all()
    assert len(np.unique(flat[lit], axis=0)) == 1
    np.testing.assert_allclose(flat[lit][0], pixels[lit].mean(axis=0), atol=0.5)
    assert not painted(np.zeros_like(pixels)).any()


@pytest.fixture(scope="module")
def untrained() -> LogOdds:
    """Two networks whose every turn is averaged, at the size for which ResNet was made."""
    torch.manual_seed(0)
    grey = Standard("training", torch.full((3,), GREY / 255), torch.eye(3))
    networks = [create("resnet18", width=8) for _ in range(2)]
    for network in networks:
        nn.init.normal_(network.fc.bias)
    return LogOdds(networks, [grey, grey], TURNS).eval()


@pytest.fixture(scope="module")
def spot() -> np.ndarray:
    """A bright square on grey, of which networks that have learned nothing see nothing."""
    pixels = np.full((224, 224, 3), GREY, np.uint8)
    pixels[150:200, 20:70] = 255
    return pixels


def test_grad_cam_of_the_last_stage_sums_to_the_log_odds(
    untrained: LogOdds, spot: np.ndarray
) -> None:
    """Selvaraju et al. 2017, section 3.1: before a global mean and a linear layer it is CAM, which
    shares out the logits but for their bias.
    """
    bias = torch.stack([network.fc.bias for network in untrained.networks]).mean(0)
    told = untrained(torch.from_numpy(spot[None])).item()
    expected = told - (bias[1] - bias[0]).item()
    assert abs(expected) > 0.01
    assert DETAIL**2 * grad_cam(untrained, spot).mean() == pytest.approx(expected, rel=1e-3)


def test_grad_cam_lies_where_the_evidence_does(untrained: LogOdds, spot: np.ndarray) -> None:
    found = grad_cam(untrained, spot)
    corner = np.abs(found[112:, :112]).mean()
    assert corner > 1.5 * np.abs(found).mean()


def test_grad_cam_turns_with_the_picture(untrained: LogOdds, spot: np.ndarray) -> None:
    """The mean over all turns takes no side."""
    found = torch.from_numpy(grad_cam(untrained, spot))[..., None]
    for turn in range(1, TURNS):
        turned = turned_alike(torch.from_numpy(spot), turn).contiguous().numpy()
        expected = turned_alike(found, turn)[..., 0].numpy()
        np.testing.assert_allclose(
            grad_cam(untrained, turned), expected, atol=1e-4 * found.abs().max()
        )
