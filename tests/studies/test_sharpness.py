"""Sharpness has the value that a box and a quadratic give by hand; weights stay where they are."""

import pytest
import torch

from leukoscope.studies.sharpness import EPSILONS, sharpness


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_a_bowl_is_as_sharp_as_its_farthest_corner(epsilon: float) -> None:
    """Within |y| ≤ ε (|x| + 1), 2 + Σ a x² is highest where every |x + y| is largest."""
    curvature = torch.tensor([1.0, 30.0, 4.0], dtype=torch.float64)
    at = torch.tensor([0.5, -2.0, 0.1], dtype=torch.float64)
    weights = at.clone().requires_grad_()

    def bowl() -> float:
        weights.grad = None
        loss = 2 + (curvature * weights**2).sum()
        loss.backward()
        return loss.item()

    here = 2 + (curvature * at**2).sum()
    highest = 2 + (curvature * (at.abs() + epsilon * (at.abs() + 1)) ** 2).sum()
    expected = 100 * (highest - here) / (1 + here)
    assert sharpness([weights], bowl, epsilon) == pytest.approx(expected.item(), rel=1e-9)
    assert torch.equal(weights, at)


def test_at_a_peak_nothing_is_higher() -> None:
    weights = torch.tensor([1e-6], dtype=torch.float64, requires_grad=True)

    def hill() -> float:
        weights.grad = None
        loss = 1 - (weights**2).sum()
        loss.backward()
        return loss.item()

    assert sharpness([weights], hill, 1e-3) == pytest.approx(0, abs=1e-6)


def test_the_sharper_of_two_bowls_is_found() -> None:
    """Four times the curvature at a minimum: four times the rise."""
    weights = torch.zeros(5, dtype=torch.float64, requires_grad=True)

    def bowl(curvature: float) -> float:
        weights.grad = None
        # Seen from the very bottom no way leads up: begin a hair beside it.
        loss = curvature * ((weights + 1e-9) ** 2).sum()
        loss.backward()
        return loss.item()

    flat, sharp = (sharpness([weights], lambda c=c: bowl(c), 1e-3) for c in (1.0, 4.0))
    assert sharp == pytest.approx(4 * flat, rel=1e-3)
