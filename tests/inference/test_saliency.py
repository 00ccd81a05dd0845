"""Saliency: where it says the evidence is, and whether it deserves to be believed."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from leukoscope.cells.mask import mask
from leukoscope.cells.plans import TURNS, turned_alike
from leukoscope.cells.store import Store
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.saliency import Map, _turned_back, grad_cam, occlusion, painted
from leukoscope.inference.torch_engine import networks
from leukoscope.training.log_odds import LogOdds

SIDE = 64
METHODS = [grad_cam, occlusion]


@pytest.fixture(scope="module")
def log_odds(bundle: Bundle) -> LogOdds:
    return networks(bundle)


@pytest.fixture(scope="module")
def shown(store: Store) -> np.ndarray:
    """One drawn cell of each of six people, of both classes."""
    return store.pixels[::12]


def told(log_odds: LogOdds, pictures: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return log_odds(torch.from_numpy(pictures)).numpy()


def test_a_map_is_turned_back_as_its_picture_was_turned() -> None:
    values = torch.arange(12.0 * 12).view(12, 12)
    for turn in range(TURNS):
        turned = turned_alike(values[..., None], turn)[..., 0]
        assert torch.equal(_turned_back(turned, turn), values)


def test_occlusion_finds_the_square_that_alone_counts(log_odds: LogOdds) -> None:
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


def test_painting_leaves_nothing_but_the_outline(shown: np.ndarray) -> None:
    flat = painted(shown[0])
    lit = mask(shown[0])
    assert (flat[~lit] == 0).all()
    assert len(np.unique(flat[lit], axis=0)) == 1
    np.testing.assert_allclose(flat[lit][0], shown[0][lit].mean(axis=0), atol=0.5)
    assert not painted(np.zeros_like(shown[0])).any()


def curve(log_odds: LogOdds, pixels: np.ndarray, order: np.ndarray, deletes: bool) -> np.ndarray:
    """Return the log-odds while pixels are painted over, or come back, in that order."""
    begin, end = (pixels, painted(pixels)) if deletes else (painted(pixels), pixels)
    pictures = []
    for share in np.linspace(0, 1, 9):
        some = begin.reshape(-1, 3).copy()
        places = order[: round(share * len(order))]
        some[places] = end.reshape(-1, 3)[places]
        pictures.append(some.reshape(pixels.shape))
    return told(log_odds, np.stack(pictures))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_salient_is_what_the_call_rests_on(
    log_odds: LogOdds, shown: np.ndarray, method: object
) -> None:
    """Deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421), against orders at random.

    Deleted from the pixels that speak most for a blast on, log-odds fall sooner than by chance;
    inserted in that order, they rise sooner.
    """
    random = np.random.default_rng(0)
    gains = {True: [], False: []}
    for pixels in shown:
        saliency: Map = method(log_odds, pixels)
        order = np.argsort(-saliency.ravel(), kind="stable")
        for deletes, found in gains.items():
            ours = curve(log_odds, pixels, order, deletes).mean()
            chance = [
                curve(log_odds, pixels, random.permutation(order), deletes).mean() for _ in range(3)
            ]
            found.append(np.mean(chance) - ours if deletes else ours - np.mean(chance))
    assert np.mean(gains[True]) > 0
    assert np.mean(gains[False]) > 0


@pytest.mark.parametrize("method", METHODS)
def test_saliency_depends_on_what_was_learned(
    bundle: Bundle, log_odds: LogOdds, shown: np.ndarray, method: object
) -> None:
    """The randomisation test of Adebayo et al. 2018, arXiv:1810.03292."""
    random = deepcopy(networks(bundle))
    torch.manual_seed(0)
    for module in random.networks.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.05)
    alike = []
    for pixels in shown:
        ours, theirs = (method(model, pixels).ravel() for model in (log_odds, random))
        again = method(log_odds, pixels).ravel()
        np.testing.assert_array_equal(ours, again)
        alike.append(stats.spearmanr(ours, theirs).statistic)
    assert np.abs(np.mean(alike)) < 0.5
