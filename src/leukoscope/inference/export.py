"""From a run, or an ensemble of them, to a bundle that has been held against it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from sklearn.metrics import roc_auc_score

from leukoscope.cells.features import features_of
from leukoscope.cells.standard import Standard
from leukoscope.cells.store import Store
from leukoscope.cores import cores
from leukoscope.errors import BadInputError, LeukoscopeError
from leukoscope.evaluation.calibration import log_odds_at
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.evaluate import settle
from leukoscope.evaluation.result import Settled
from leukoscope.files import atomic, sha256, write_text
from leukoscope.inference import graphs, integers
from leukoscope.inference.bundle import (
    CARD,
    KNOWN,
    LIKENESS,
    WEIGHTS,
    Bundle,
    BundleInfo,
    Check,
    Network,
    Three,
)
from leukoscope.inference.engines import Engine, IntegerEngine, OnnxEngine, Told
from leukoscope.inference.flags import FAR, Limits
from leukoscope.inference.likeness import Likeness
from leukoscope.progress import tracked
from leukoscope.training.log_odds import LogOdds
from leukoscope.training.run import Run

TOLERANCE = 1e-4
"""In log-odds, between the networks and their graph in floating point; of theirs beyond 1, since
float32 has seven digits and a deep network uses up two or three of them."""
AGREEMENT = 0.995
"""Of calls that the graph in integers must share with the networks."""
AUROC_CHANGE = 0.002
"""That it may make on validation cells."""

CHECKED = 1000
"""Validation cells by which graphs are checked, at most."""
BATCH = 64
"""Pictures at once while they are, all turns of a cell among them."""


def export(source: Run | Ensemble, folder: Path, card: str = "") -> Bundle:
    """Make a bundle of `source` in `folder`, its graphs checked.

    A graph in integers that does not say what the networks say is left out; ``bundle.json`` says
    why.

    Args:
        source: one run, or several as an ensemble.
        folder: new, or without a bundle.
        card: the model card, Markdown; empty: there is none.

    Raises:
        BadInputError: `folder` holds a bundle already.
        LeukoscopeError: the graph in floating point does not say what the networks say.
    """
    if Bundle.exists(folder):
        raise BadInputError(f"{folder} already holds a bundle; delete it or choose another folder")
    runs = [source] if isinstance(source, Run) else source.runs
    settled = settle(source) if isinstance(source, Run) else source.settled()
    torch.set_num_threads(cores())  # settling took the run's own number
    store, log_odds = runs[0].open_store(), LogOdds.of(runs)
    size = store.info.preprocessing.size
    written = [WEIGHTS, "fp32.onnx", LIKENESS, KNOWN]
    with atomic(folder / WEIGHTS) as scratch:
        weights = log_odds.networks.state_dict()
        scratch.write_bytes(save({name: weight.contiguous() for name, weight in weights.items()}))
    with atomic(folder / "fp32.onnx") as scratch:
        graphs.write_fp32(log_odds, size, scratch)
    likeness = Likeness.of(_features(store, log_odds))
    likeness.write(folder / LIKENESS)
    known = store.cells.iloc[store.rows("train")][["id", "subject", "label"]]
    with atomic(folder / KNOWN) as scratch:
        known.to_parquet(scratch, index=False)

    judge = _Judge(store, log_odds, settled, likeness)
    exact = _opened(folder / "fp32.onnx")
    told = judge.hear(exact, "fp32")
    fp32 = judge.check(told)
    if not np.allclose(told.log_odds, judge.told, rtol=TOLERANCE, atol=TOLERANCE):
        for name in written:
            (folder / name).unlink()
        raise LeukoscopeError(
            f"the graph differs from the networks by {fp32.largest_difference:.2g} in log-odds, "
            f"more than {TOLERANCE:g}: no bundle is made"
        )
    int8 = _integers(folder, exact, judge, _calibration(store))
    if not int8.refused:
        written.append("int8.onnx")

    if card:
        write_text(folder / CARD, card)
        written.append(CARD)
    measured = features_of(store)
    info = BundleInfo(
        name=source.folder.resolve().name,
        networks=list(map(_network, runs, log_odds.standards)),
        turns=log_odds.turns,
        preprocessing=store.info.preprocessing,
        temperature=settled.temperature,
        prior=settled.prior,
        points=settled.points,
        curve=settled.curve,
        review=settled.review,
        limits=Limits.of(*(measured.iloc[store.rows(split)] for split in ("train", "validation"))),
        checks={"fp32": fp32, "int8": int8},
        phantom=store.info.phantom,
        digests={name: sha256(folder / name) for name in written},
    )
    return Bundle(folder, info).write()


def _opened(graph: Path) -> OnnxEngine:
    return OnnxEngine(graph, torch.get_num_threads())


def _integers(
    folder: Path, exact: OnnxEngine, judge: "_Judge", pictures: NDArray[np.uint8]
) -> Check:
    """Write the graph in integers into `folder`, unless it must not be shipped."""
    target = folder / "int8.onnx"
    try:
        with atomic(target) as scratch:
            fp32 = folder / "fp32.onnx"
            integers.write_int8(fp32, pictures, judge.turns, judge.told, judge.cut, scratch)
    except OSError:  # a full disk says nothing about integers
        raise
    except Exception as error:  # whatever the quantiser raises: a bundle does without it
        return Check(
            cells=0,
            largest_difference=0,
            agreement=0,
            auroc_change=0,
            farthest=0,
            refused=f"it cannot be made ({error})",
        )
    check = judge.check(judge.hear(IntegerEngine(_opened(target), lambda: exact), "int8"))
    check = check.model_copy(update={"refused": refusal(check)})
    if check.refused:
        target.unlink()
    return check


def refusal(check: Check) -> str:
    """Return why a graph in integers must not be shipped; empty: it may."""
    reasons = []
    if check.agreement < AGREEMENT:
        reasons.append(
            f"it calls {check.agreement:.2%} of {check.cells:,} validation cells as the networks "
            f"do, and {AGREEMENT:.1%} are asked for"
        )
    if abs(check.auroc_change) > AUROC_CHANGE:
        reasons.append(
            f"it changes their AUROC by {check.auroc_change:+.4f}, and {AUROC_CHANGE:g} is allowed"
        )
    return "; ".join(reasons)


class _Judge:
    """Holds graphs against the networks, on validation cells: of an ensemble, its first run's."""

    def __init__(
        self, store: Store, log_odds: LogOdds, settled: Settled, likeness: Likeness
    ) -> None:
        threshold = settled.points[0].threshold
        self.cut = log_odds_at(threshold, settled.temperature, settled.prior)
        self.turns, self.likeness = log_odds.turns, likeness
        rows = _some(store.rows("validation"), CHECKED)
        self.pictures, self.labels = store.pixels[rows], store.labels[rows]
        self.batch = max(1, BATCH // log_odds.turns)
        with torch.inference_mode():
            told = [log_odds(torch.from_numpy(some)).numpy() for some in self._batches("networks")]
        self.told = np.concatenate(told)

    def hear(self, engine: Engine, name: str) -> Told:
        """Return what `engine`, of that `name`, tells of the cells."""
        told = [engine(some) for some in self._batches(name)]
        beyond = [part.beyond for part in told if part.beyond is not None]
        return Told(
            np.concatenate([part.log_odds for part in told]),
            np.concatenate([part.features for part in told]),
            np.concatenate(beyond) if beyond else None,
        )

    def check(self, told: Told) -> Check:
        found, distances = told.log_odds, self.likeness.distance(told.features)
        known = self.labels >= 0
        before, after = (roc_auc_score(self.labels[known], z[known]) for z in (self.told, found))
        return Check(
            cells=len(found),
            largest_difference=float(np.abs(found - self.told).max()),
            agreement=float(np.mean((found >= self.cut) == (self.told >= self.cut))),
            auroc_change=float(after - before),
            farthest=float(np.quantile(distances, FAR)),
            beyond=0.0 if told.beyond is None else float(told.beyond.mean()),
        )

    def _batches(self, what: str) -> Iterator[NDArray[np.uint8]]:
        starts = range(0, len(self.pictures), self.batch)
        batches = (self.pictures[start : start + self.batch] for start in starts)
        return tracked(batches, f"{what} on validation cells", len(starts), "batches")


@torch.inference_mode()
def _features(store: Store, log_odds: LogOdds) -> NDArray[np.float32]:
    """Return what the first network sees of its training cells."""
    rows = store.rows("train")
    starts = range(0, len(rows), BATCH)
    batches = (torch.from_numpy(store.pixels[rows[start : start + BATCH]]) for start in starts)
    told = tracked(batches, "features of training cells", len(starts), "batches")
    return np.concatenate([log_odds.features(batch).numpy() for batch in told])


def _calibration(store: Store) -> NDArray[np.uint8]:
    return np.asarray(store.pixels[_some(store.rows("train"), integers.CALIBRATION)])


def _some(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return `rows`, evenly thinned to `most` of them."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows)), dtype=np.int64)]


def _network(run: Run, standard: Standard) -> Network:
    return Network(
        model=run.config.model,
        options=run.config.model_options,
        colour=standard.colour,
        mean=_three(standard.mean),
        mixing=[_three(row) for row in standard.mixing],
    )


def _three(values: torch.Tensor) -> Three:
    red, green, blue = values.tolist()
    return red, green, blue
