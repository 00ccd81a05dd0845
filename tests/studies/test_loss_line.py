"""Lines through weights: directions, minima and displacements that are known beforehand."""

import numpy as np
import pytest
import torch

from leukoscope.studies.loss_line import Losses, along, displacement, minima, random_direction


def test_a_random_direction_is_as_long_as_each_filter_it_moves() -> None:
    weights = [torch.randn(8, 3, 3, 3), torch.randn(8), torch.randn(2, 8)]
    direction = random_direction(weights, seed=1)
    for weight, step in zip(weights, direction, strict=True):
        if weight.dim() > 1:
            torch.testing.assert_close(step.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))
        else:
            assert not step.any()
    again, other = (random_direction(weights, seed) for seed in (1, 2))
    assert torch.equal(again[0], direction[0])
    assert not torch.equal(other[0], direction[0])


def test_weights_move_along_the_line_and_come_back() -> None:
    weights = [torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])]
    direction = [torch.tensor([1.0, -1.0]), torch.tensor([[10.0]])]
    seen = along(weights, direction, [-1, 0.5], lambda: [weight.tolist() for weight in weights])
    assert seen == [[[0.0, 3.0], [[-7.0]]], [[1.5, 1.5], [[8.0]]]]
    assert [weight.tolist() for weight in weights] == [[1.0, 2.0], [[3.0]]]


def test_a_parabolas_minimum_is_exact_between_the_points() -> None:
    steps = np.linspace(-0.5, 0.5, 21)
    where = np.array([-0.312, 0.007, 0.44])
    found = minima(steps, 3 * (steps[:, None] - where) ** 2 + 1)
    np.testing.assert_allclose(found, where, atol=1e-12)
    # Beyond the end: the minimum of what was looked at.
    assert minima(steps, steps) == -0.5
    assert minima(steps, (steps - 9) ** 2) == 0.5


def bowls(steps: np.ndarray, centres: np.ndarray) -> Losses:
    return Losses((steps[:, None] - centres) ** 2, np.full(len(centres), 10))


def test_displaced_quadratics_are_as_far_apart_as_they_were_put() -> None:
    steps = np.linspace(-0.5, 0.5, 21)
    train = bowls(steps, np.zeros(20))
    validation = bowls(steps, np.full(20, 0.12))
    found = displacement(steps, train, validation)
    assert (found.train, found.validation) == pytest.approx((0, 0.12))
    assert (found.low, found.high) == pytest.approx((0.12, 0.12))  # all subjects agree
    assert found.inside


def test_the_interval_is_that_of_a_mean_over_subjects() -> None:
    """The minimum of a sum of bowls is the mean of their centres, whose spread is known."""
    random = np.random.default_rng(3)
    steps = np.linspace(-1, 1, 41)
    centres = random.normal(0.1, 0.2, 50)
    found = displacement(steps, bowls(steps, np.zeros(50)), bowls(steps, centres))
    half = 1.96 * centres.std() / np.sqrt(50)
    assert found.size == pytest.approx(centres.mean())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)


def test_large_subjects_weigh_by_their_cells() -> None:
    losses = Losses(np.array([[1.0, 4.0]]), np.array([30, 10]))
    np.testing.assert_allclose(losses.mean, [1.75])


def test_a_minimum_at_an_end_is_said() -> None:
    steps = np.linspace(-0.5, 0.5, 21)
    train = bowls(steps, np.zeros(4))
    assert not displacement(steps, train, bowls(steps, np.full(4, 2.0))).inside
