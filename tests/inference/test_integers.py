"""Integers of 8 bits: fine enough for the usual cells, and they know which these are."""

from pathlib import Path

import numpy as np
import onnxruntime

from leukoscope.cells.store import Store
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.engines import OnnxEngine
from leukoscope.inference.integers import write_int8

FAR_OFF = 1e6
"""Log-odds that no cell comes near."""


def test_a_few_far_cells_do_not_make_the_ranges(
    bundle: Bundle, store: Store, tmp_path: Path
) -> None:
    fp32, rows = bundle.file("fp32.onnx"), store.rows("train")
    cells = np.asarray(store.pixels[rows[:24]])
    glare = np.random.default_rng(0).integers(0, 256, (3, *cells.shape[1:]), dtype=np.uint8)
    errors = {}
    for name, pictures in {"cells": cells, "with glare": np.concatenate([cells, glare])}.items():
        write_int8(fp32, pictures, bundle.info.turns, FAR_OFF, tmp_path / "int8.onnx")
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
    write_int8(fp32, pictures, bundle.info.turns, cut, target)
    told = OnnxEngine(target, 1)(pictures)
    assert told.beyond is not None
    near = np.abs(told.log_odds - cut) < 2 * np.std(told.log_odds - exact)
    assert 0 < near.sum() < 20
    assert told.beyond.tolist() == near.tolist()


def test_what_lies_at_the_end_of_a_range_is_beyond_it(bundle: Bundle, store: Store) -> None:
    session = onnxruntime.InferenceSession(bundle.file("int8.onnx"))
    names = [output.name for output in session.get_outputs()]
    assert names == ["log_odds", "features", "beyond"]
    some = store.pixels[store.rows("validation")]
    beyond = session.run(["beyond"], {"pictures": some})[0]
    assert beyond.shape == (len(some),)
    assert beyond.mean() == bundle.info.checks["int8"].beyond
