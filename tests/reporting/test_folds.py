"""A report of several runs a network: each person is tested once, and judged once."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leukoscope.cells.division import Division
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.evaluate import evaluate_others
from leukoscope.evaluation.folds import evaluate_folds
from leukoscope.evaluation.result import Evaluation
from leukoscope.reporting.report import write_report
from leukoscope.studies.architectures import Network, compare
from leukoscope.training.run import Run


@pytest.fixture(scope="module")
def folds(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Two folds of two seeds, in a comparison's folder."""
    config = Run.open(trained / "resnet18").config
    planned = {
        Path("resnet18", f"fold{fold}-seed{seed}"): config.model_copy(
            update={"division": Division(fold=fold), "seed": seed}
        )
        for fold in (0, 1)
        for seed in (0, 1)
    }
    (network,) = compare(planned, tmp_path_factory.mktemp("folds"))
    return network


def test_folds_are_judged_as_one(folds: Network) -> None:
    runs = [run for run in folds.runs if run.config.seed == 0]
    evaluation, cells, subjects = evaluate_folds(runs)
    each = [Evaluation.read(run, "test") for run in runs]
    assert evaluation.cells == len(cells) == sum(one.cells for one in each)
    assert len(subjects) == sum(one.normal_subjects + one.blast_subjects for one in each)
    assert subjects["accuracy"].is_monotonic_increasing
    # At every operating point each cell is called as by its own run's threshold.
    for place, calls in enumerate(evaluation.calls):
        confusions = [np.array(one.calls[place].confusion) for one in each]
        assert calls.confusion == np.sum(confusions, axis=0).tolist()
        thresholds = [one.calls[place].point.threshold for one in each]
        assert calls.point.threshold == pytest.approx(np.mean(thresholds))
    # Each baseline is the one that the run's own training cells fitted.
    for place, baseline in enumerate(evaluation.baselines):
        right = sum((one.baselines[place].accuracy.value or 0) * one.cells for one in each)
        assert baseline.accuracy.value == pytest.approx(right / evaluation.cells)


def test_a_report_of_folds_leads_with_their_subjects(folds: Network, tmp_path: Path) -> None:
    folder = folds.runs[0].folder.parent.parent
    page = write_report(folder, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "resnet18, 2 folds, on test" in page
    assert "judged by the run that neither trained nor chose on them" in page
    assert "after each run’s temperature" in page
    tested = pd.concat(folds.pools.values())["subject"].nunique()
    assert f"All {tested} subjects as a table" in page
    assert "filled from resnet18, its folds as one model," in page
    cells = pd.concat(folds.pools.values())["id"].nunique()
    assert f"All folds together tested {cells} cells, each once" in page


@pytest.mark.parametrize("at", ["network", "comparison"])
def test_what_the_folds_say_of_other_cells_is_in_the_report(
    folds: Network, cells: pd.DataFrame, tmp_path: Path, at: str
) -> None:
    folder = shutil.copytree(folds.runs[0].folder.parent.parent, tmp_path / "compare")
    ensemble = Ensemble.open(folder / "resnet18" if at == "network" else folder)
    evaluate_others(ensemble, cells, "elsewhere")
    page = write_report(folder, tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("resnet18 on external-elsewhere</h3>") == 1
