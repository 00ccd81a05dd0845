"""Augmentation: what is drawn is what is done, and nothing else."""

import numpy as np
import pytest
import torch
from torch import Tensor

from leukoscope.cells.augment import DRAWS, STAINS, Augmentation

MIDDLE = 0.5
"""The draw that changes nothing."""


def disc(radius: float, side: int = 96, middle: tuple[float, float] = (0, 0)) -> Tensor:
    """A disc of one colour on black, `middle` away (down, right) from the picture's."""
    place = torch.arange(side) - (side - 1) / 2
    inside = torch.hypot(place[:, None] - middle[0], place[None] - middle[1]) < radius
    return inside.float() * torch.tensor([0.6, 0.3, 0.7])[:, None, None]


def draws(**given: float) -> Tensor:
    """One picture's draws: those `given` by place, as ``d1``, the others in the middle."""
    row = torch.full((1, DRAWS), MIDDLE)
    for name, value in given.items():
        row[0, int(name[1:])] = value
    return row


def middle_of(picture: Tensor) -> tuple[float, float]:
    weight = picture[0] / picture[0].sum()
    place = torch.arange(picture.shape[-1], dtype=torch.float32) - (picture.shape[-1] - 1) / 2
    return float((weight.sum(1) * place).sum()), float((weight.sum(0) * place).sum())


def test_nothing_is_changed_by_default_or_by_draws_in_the_middle() -> None:
    assert not Augmentation().active
    every = Augmentation(rotation=True, scale=0.3, shift=0.1, stain=0.2, light=0.3)
    picture = disc(30, middle=(5, -9))[None]
    assert torch.allclose(every(picture, draws()), picture, atol=1e-5)


@pytest.mark.parametrize(("draw", "times"), [(1.0, 1.25), (0.0, 0.8), (MIDDLE, 1.0)])
def test_a_cell_grows_by_what_is_drawn(draw: float, times: float) -> None:
    changed = Augmentation(scale=0.25)(disc(30)[None], draws(d1=draw))[0]
    radius = float((changed[0] / 0.6).sum() / np.pi) ** 0.5
    assert radius == pytest.approx(30 * times, rel=0.02)


def test_a_cell_moves_by_what_is_drawn() -> None:
    changed = Augmentation(shift=0.1)(disc(20)[None], draws(d2=1.0, d3=0.0))[0]
    # The grid reads further right and further up: the cell goes left and down.
    assert middle_of(changed) == pytest.approx((9.6, -9.6), abs=0.1)


def test_a_quarter_of_a_right_angle_each_way() -> None:
    off = disc(10, middle=(0, 30))[None]
    for draw, sign in ((1.0, 1), (0.0, -1)):
        changed = Augmentation(rotation=True)(off, draws(d0=draw))[0]
        down, right = middle_of(changed)
        assert (abs(down), right) == pytest.approx((30 * 0.5**0.5, 30 * 0.5**0.5), abs=0.3)
        assert np.sign(down) == -sign


def test_a_stain_is_changed_in_optical_density_and_the_background_stays_black() -> None:
    amounts = torch.tensor([0.5, 0.3, 0.2])
    colour = torch.exp(-(amounts @ STAINS))
    picture = torch.zeros(1, 3, 8, 8)
    picture[0, :, 2:6, 2:6] = colour[:, None, None]
    changed = Augmentation(stain=0.2)(picture, draws(d4=1.0, d9=0.0))[0]
    # The first stain a fifth stronger, the third less by a twentieth.
    expected = torch.exp(
        -((amounts * torch.tensor([1.2, 1, 1]) - torch.tensor([0, 0, 0.05])) @ STAINS)
    )
    assert torch.allclose(changed[:, 3, 3], expected, atol=1e-5)
    assert not changed[:, 0, 0].any()


def test_light_is_an_exponent_and_a_factor() -> None:
    picture = torch.full((1, 3, 4, 4), 0.25)
    brighter = Augmentation(light=0.5)(picture, draws(d10=0.0))
    assert torch.allclose(brighter, torch.full_like(picture, 0.25 ** (1 / 1.5)), atol=1e-5)
    brighter = Augmentation(light=0.5)(picture, draws(d11=1.0))
    assert torch.allclose(brighter, torch.full_like(picture, 0.25 * 1.25), atol=1e-5)


def test_each_picture_of_a_batch_has_its_own_draws() -> None:
    every = Augmentation(rotation=True, scale=0.3, shift=0.1, stain=0.2, light=0.3)
    pictures = torch.stack([disc(20), disc(30, middle=(4, 4))])
    drawn = torch.rand(2, DRAWS, generator=torch.Generator().manual_seed(0))
    both = every(pictures, drawn)
    alone = torch.cat([every(pictures[i : i + 1], drawn[i : i + 1]) for i in (0, 1)])
    assert torch.allclose(both, alone, atol=1e-6)
    assert both.min() >= 0
    assert both.max() <= 1
