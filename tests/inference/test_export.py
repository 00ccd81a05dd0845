"""Exporting: every engine says what the run says, or is not in the bundle."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from leukoscope.cells.division import Division
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError, LeukoscopeError
from leukoscope.evaluation.calibration import probability
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.evaluate import settle
from leukoscope.evaluation.predictions import predict, predict_others
from leukoscope.files import sha256
from leukoscope.inference import export as exporting
from leukoscope.inference.bundle import Bundle, Check
from leukoscope.inference.engines import EngineName, open_engine
from leukoscope.inference.export import export, refusal
from leukoscope.training.run import Run

CHECK = Check(cells=1000, largest_difference=0.1, agreement=0.995, auroc_change=0.002, farthest=9)


@pytest.mark.parametrize(("name", "tolerance"), [("torch", 1e-6), ("fp32", 1e-4)])
def test_an_engine_says_what_the_run_says(
    bundle: Bundle, run: Run, store: Store, name: EngineName, tolerance: float
) -> None:
    engine = open_engine(bundle, name, threads=1)
    found = engine(store.pixels[store.rows("validation")]).log_odds
    expected = predict(run, "validation")["logit"]
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)
    assert np.ptp(expected) > 0.1


def test_integers_make_the_calls_that_the_check_says(
    bundle: Bundle, run: Run, store: Store
) -> None:
    check, info = bundle.info.checks["int8"], bundle.info
    assert not check.refused
    found = open_engine(bundle, "int8", threads=1)(store.pixels[store.rows("validation")]).log_odds
    expected = predict(run, "validation")["logit"].to_numpy()
    assert check.cells == len(expected)
    one, two = (
        probability(told, info.temperature, info.prior) >= info.points[0].threshold
        for told in (found, expected)
    )
    assert 0 < two.mean() < 1
    assert check.agreement == np.mean(one == two) >= 0.995
    assert check.largest_difference == pytest.approx(abs(found - expected).max(), abs=1e-5)
    assert 1 > check.largest_difference > 10 * info.checks["fp32"].largest_difference


def test_integers_are_right_on_average_over_the_cells_that_gave_their_ranges(
    bundle: Bundle, store: Store
) -> None:
    some = exporting._calibration(store)
    exact, found = (
        open_engine(bundle, name, threads=1)(some).log_odds for name in ("fp32", "int8")
    )
    assert np.mean(found - exact) == pytest.approx(0, abs=1e-4)
    assert np.std(found - exact) > 1e-3


@pytest.mark.parametrize("broken", [True, False])
def test_integers_that_say_something_else_stay_out(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    def noise(fp32: Path, *others: Any) -> None:
        if broken:
            raise RuntimeError("no such operator")
        graph = onnx.load(fp32)
        for weights in graph.graph.initializer:
            if len(weights.dims) == 4:
                flipped = -onnx.numpy_helper.to_array(weights)
                weights.CopyFrom(onnx.numpy_helper.from_array(flipped, weights.name))
        onnx.save(graph, others[-1])

    monkeypatch.setattr(exporting.integers, "write_int8", noise)
    made = export(run, tmp_path / "bundle")
    refused = made.info.checks["int8"].refused
    assert ("no such operator" if broken else "validation cells as the networks do") in refused
    assert {path.name for path in made.folder.iterdir()} == {"bundle.json", *made.info.digests}
    assert "int8.onnx" not in made.info.digests


def test_a_full_disk_is_no_refusal_of_integers(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(exporting.integers, "write_int8", full)
    with pytest.raises(OSError, match="No space left"):
        export(run, tmp_path / "bundle")
    assert not (tmp_path / "bundle" / "bundle.json").exists()


def test_the_graph_has_its_norms_folded_and_takes_any_number_of_cells(
    bundle: Bundle, store: Store
) -> None:
    graph = onnx.load(bundle.folder / "fp32.onnx").graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    engine = open_engine(bundle, "fp32", threads=1)
    together = engine(store.pixels[:5]).log_odds
    alone = [engine(store.pixels[row : row + 1]).log_odds[0] for row in range(5)]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_bundle_says_how_it_came_about(bundle: Bundle, run: Run, store: Store) -> None:
    info = bundle.info
    assert info.preprocessing == store.info.preprocessing
    assert info.temperature == settle(run).temperature
    assert info.prior == settle(run).prior
    assert info.points == settle(run).points
    assert info.turns == 8
    assert not info.phantom
    files = {path.name for path in bundle.folder.iterdir()}
    assert files == {"bundle.json", "MODEL_CARD.md", "int8.onnx", *info.digests}
    assert all(sha256(bundle.folder / name) == digest for name, digest in info.digests.items())


def test_several_runs_are_one_mean(
    run: Run,
    new_run: Callable[..., Run],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Ensemble, "settled", lambda _: settle(run))
    other = new_run("epochs=1", "colour=grey", seed=1, division=Division(fold=1))
    made = export(Ensemble(run.folder, [run, other]), tmp_path / "bundle")
    rows = store.rows("validation")
    cells = store.cells.iloc[rows]
    expected, alone = (
        predict_others(runs, cells, store.pixels[rows])["logit"] for runs in ([run, other], [run])
    )
    assert abs(expected - alone).max() > 0.1
    for name, tolerance in (("fp32", 1e-4), ("torch", 1e-6)):
        found = open_engine(made, name, threads=1)(store.pixels[rows]).log_odds
        np.testing.assert_allclose(found, expected, atol=tolerance)


def test_a_graph_that_says_something_else_makes_no_bundle(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(LeukoscopeError, match="differs from the networks"):
        export(run, tmp_path / "bundle")
    assert list((tmp_path / "bundle").iterdir()) == []


def test_a_bundle_is_not_written_over(bundle: Bundle, run: Run) -> None:
    with pytest.raises(BadInputError, match="already holds a bundle"):
        export(run, bundle.folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"agreement": 0.994}, "99.40% of 1,000"),
        ({"auroc_change": -0.0021}, "-0.0021"),
    ],
)
def test_integers_are_refused_where_they_say_something_else(
    change: dict[str, float | None], reason: str
) -> None:
    found = refusal(CHECK.model_copy(update=change))
    assert reason in found
    assert bool(found) == bool(reason)
