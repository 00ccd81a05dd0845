"""Exporting: every engine says what the run says, or is not in the bundle."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError, LeukoscopeError
from leukoscope.evaluation.evaluate import settle
from leukoscope.evaluation.predictions import predict
from leukoscope.files import sha256
from leukoscope.inference import export as exporting
from leukoscope.inference.bundle import Bundle, Check
from leukoscope.inference.engines import EngineName, open_engine
from leukoscope.inference.export import export, refusal
from leukoscope.training.run import Run

CHECK = Check(cells=1000, largest_difference=0.1, agreement=0.995, auroc=0.9, auroc_change=0.002)


@pytest.mark.parametrize(("name", "tolerance"), [("torch", 1e-6), ("fp32", 1e-4)])
def test_an_engine_says_what_the_run_says(
    bundle: Bundle, run: Run, store: Store, name: EngineName, tolerance: float
) -> None:
    engine = open_engine(bundle, name, threads=1)
    found = engine(store.pixels[store.rows("validation")])
    expected = predict(run, "validation")["logit"]
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)
    assert np.ptp(expected) > 0.1


def test_the_checks_are_what_the_engines_do(bundle: Bundle, run: Run, store: Store) -> None:
    expected = predict(run, "validation")["logit"].to_numpy()
    check = bundle.info.checks["int8"]
    assert check.cells == len(expected)
    if check.refused:
        assert not (bundle.folder / "int8.onnx").exists()
    else:
        found = open_engine(bundle, "int8", threads=1)(store.pixels[store.rows("validation")])
        assert check.agreement == np.mean((found >= 0) == (expected >= 0)) >= 0.995
        assert check.largest_difference == pytest.approx(abs(found - expected).max(), abs=1e-5)
        assert check.largest_difference > bundle.info.checks["fp32"].largest_difference


def test_the_graph_has_its_norms_folded_and_takes_any_number_of_cells(
    bundle: Bundle, store: Store
) -> None:
    graph = onnx.load(bundle.folder / "fp32.onnx").graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    engine = open_engine(bundle, "fp32", threads=1)
    together = engine(store.pixels[:5])
    alone = [engine(store.pixels[row : row + 1])[0] for row in range(5)]
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
    assert files == {"bundle.json", *info.digests}
    assert all(sha256(bundle.folder / name) == digest for name, digest in info.digests.items())


def test_several_runs_are_one_mean(
    run: Run, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leukoscope.evaluation.ensemble import Ensemble

    monkeypatch.setattr(Ensemble, "settled", lambda _: settle(run))
    last = Run(run.folder, run.config)
    made = export(Ensemble(run.folder, [run, last]), tmp_path / "bundle")
    assert len(made.info.networks) == 2
    found = open_engine(made, "fp32", threads=1)(store.pixels[store.rows("validation")])
    np.testing.assert_allclose(found, predict(run, "validation")["logit"], atol=1e-4)


def test_a_graph_that_says_something_else_makes_no_bundle(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(LeukoscopeError, match="differs from the networks"):
        export(run, tmp_path / "bundle")
    assert not Bundle.exists(tmp_path / "bundle")


def test_a_bundle_is_not_written_over(bundle: Bundle, run: Run) -> None:
    with pytest.raises(BadInputError, match="already holds a bundle"):
        export(run, bundle.folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"agreement": 0.994}, "99.40% of 1,000"),
        ({"auroc_change": -0.0021}, "-0.0021"),
        ({"auroc": None, "auroc_change": None}, ""),
    ],
)
def test_integers_are_refused_where_they_say_something_else(
    change: dict[str, float | None], reason: str
) -> None:
    found = refusal(CHECK.model_copy(update=change))
    assert reason in found
    assert bool(found) == bool(reason)
