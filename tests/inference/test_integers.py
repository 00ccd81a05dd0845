"""Integers of 8 bits: fine enough for the usual cells, and they know which these are."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.stats import norm

from leukoscope.cells.standard import Standard
from leukoscope.cells.store import Store
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.engines import OnnxEngine
from leukoscope.inference.graphs import write_fp32
from leukoscope.inference.integers import CHANGED, margin, write_int8
from leukoscope.models import create
from leukoscope.training.log_odds import LogOdds

SURE = np.array([1e6])
"""Log-odds of new cells that are far from where the call changes."""


def test_a_few_far_cells_do_not_make_the_ranges(tmp_path: Path) -> None:
    """Without biases, and with norms that have seen nothing, a network says of pictures with 30
    times the contrast 30 times as much.
    """
    torch.manual_seed(0)
    grey = Standard("training", torch.full((3,), 128 / 255), torch.eye(3))
    network = create("resnet18", width=16)
    torch.nn.init.zeros_(network.fc.bias)
    fp32 = tmp_path / "fp32.onnx"
    write_fp32(LogOdds([network], [grey], 1).eval(), 32, fp32)
    faint = np.random.default_rng(0).integers(-4, 5, (27, 32, 32, 3))
    cells = (128 + faint[:24]).astype(np.uint8)
    glare = (128 + 30 * faint[24:]).astype(np.uint8)
    errors = {}
    for name, pictures in {"cells": cells, "with glare": np.concatenate([cells, glare])}.items():
        write_int8(fp32, pictures, 1, SURE, 0.0, tmp_path / "int8.onnx")
        told = OnnxEngine(tmp_path / "int8.onnx", 1)(pictures)
        assert told.beyond is not None
        assert told.beyond.tolist() == [False] * 24 + [True] * (len(pictures) - 24)
        errors[name] = told.log_odds[:24] - OnnxEngine(fp32, 1)(cells).log_odds
    np.testing.assert_allclose(errors["with glare"], errors["cells"], atol=1e-6)


def test_calls_that_what_integers_are_off_by_could_change_are_beyond_them(
    bundle: Bundle, store: Store, tmp_path: Path
) -> None:
    fp32, target = bundle.file("fp32.onnx"), tmp_path / "int8.onnx"
    pictures = np.asarray(store.pixels[store.rows("train")[:40]])
    exact = OnnxEngine(fp32, 1)(pictures).log_odds
    cut = float(exact[0])
    write_int8(fp32, pictures, bundle.info.turns, np.full(9, cut), cut, target)
    told = OnnxEngine(target, 1)(pictures)
    assert told.beyond is not None
    least = norm.isf(CHANGED) * np.std(told.log_odds - exact)
    near = np.abs(told.log_odds - cut) < least
    assert 0 < near.sum() < 20
    assert told.beyond.tolist() == near.tolist()


def test_the_margin_leaves_as_many_calls_changed_as_it_may() -> None:
    random = np.random.default_rng(0)
    exact, off = random.uniform(-1, 1, 1_000_000), random.normal(0, 0.1, 1_000_000)
    least = margin(np.abs(exact), 0.1)
    told = exact + off
    changed = (told > 0) != (exact > 0)
    assert np.mean(changed) == pytest.approx(0.1 / np.sqrt(2 * np.pi), rel=0.02)
    assert np.mean(changed & (np.abs(told) > least)) == pytest.approx(CHANGED, rel=0.05)


@pytest.mark.parametrize(("from_cut", "off"), [(1.0, 0.1), (0.0, 0.0)])
def test_calls_that_hardly_change_need_no_margin(from_cut: float, off: float) -> None:
    assert margin(np.full(9, from_cut), off) == pytest.approx(0, abs=1e-8)


def test_what_lies_at_the_end_of_a_range_is_beyond_it(bundle: Bundle, store: Store) -> None:
    session = onnxruntime.InferenceSession(bundle.file("int8.onnx"))
    names = [output.name for output in session.get_outputs()]
    assert names == ["log_odds", "features", "beyond"]
    some = store.pixels[store.rows("validation")]
    beyond = session.run(["beyond"], {"pictures": some})[0]
    assert beyond.shape == (len(some),)
    assert beyond.mean() == bundle.info.checks["int8"].beyond
