"""Distances from the training cells: the Gaussian's own, and kept in a file."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from leukoscope.inference.likeness import COMPONENTS, Likeness


@pytest.fixture
def features() -> np.ndarray:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(40, 40)) * np.geomspace(3, 0.01, 40)[:, None]
    return (random.normal(size=(300, 40)) @ mixing + 5).astype(np.float32)


def test_distances_are_those_of_probabilistic_components(features: np.ndarray) -> None:
    """scikit-learn's log-likelihood falls by half the squared distance."""
    found = Likeness.of(features).distance(features)
    told = PCA(COMPONENTS).fit(features.astype(float)).score_samples(features.astype(float))
    np.testing.assert_allclose(np.diff(found**2), -2 * np.diff(told), rtol=1e-3, atol=1e-2)


def test_what_lies_beside_all_training_cells_is_far(features: np.ndarray) -> None:
    likeness = Likeness.of(features)
    odd = features[:1] + 10 * np.linalg.svd(features - features.mean(0))[2][-1]
    assert likeness.distance(odd)[0] > 2 * likeness.distance(features).max()
    assert likeness.distance(features.mean(0, keepdims=True))[0] == pytest.approx(0, abs=1e-2)


def test_a_file_keeps_it(features: np.ndarray, tmp_path: Path) -> None:
    likeness = Likeness.of(features)
    likeness.write(tmp_path / "likeness.safetensors")
    again = Likeness.read(tmp_path / "likeness.safetensors")
    assert again.distance(features).tolist() == likeness.distance(features).tolist()


def test_few_cells_and_dead_features_are_no_obstacle() -> None:
    few = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    few[:, 20:] = 0
    assert np.isfinite(Likeness.of(few).distance(few)).all()
