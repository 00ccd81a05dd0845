"""Choosing an engine: by one measurement, of those that the bundle holds."""

import numpy as np
import pytest

from leukoscope.cells.store import Store
from leukoscope.inference import engines
from leukoscope.inference.bundle import Bundle, Check
from leukoscope.inference.engines import EngineName, OnnxEngine, fastest, open_engine

pytestmark = pytest.mark.usefixtures("own_cache")

CHECK = Check(cells=9, largest_difference=0, agreement=1, auroc_change=0, farthest=0)


def having(bundle: Bundle, int8: Check) -> Bundle:
    info = bundle.info.model_copy(update={"checks": {"fp32": CHECK, "int8": int8}})
    return Bundle(bundle.folder, info)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What is measured of each graph; those not in it must not be measured."""
    found: dict[str, float] = {}

    def graph(_bundle: Bundle, name: EngineName, _threads: int) -> str:
        return name

    monkeypatch.setattr(engines, "_graph", graph)
    monkeypatch.setattr(engines, "_seconds", lambda name, *_: found[name])
    return found


def test_the_faster_one_is_chosen_for_each_number_of_threads(
    bundle: Bundle, seconds: dict[str, float]
) -> None:
    seconds |= {"int8": 1.0, "fp32": 2.0}
    assert fastest(having(bundle, CHECK), threads=1) == "int8"
    seconds |= {"int8": 2.0, "fp32": 1.0}
    assert fastest(having(bundle, CHECK), threads=2) == "fp32"
    assert fastest(having(bundle, CHECK), threads=1) == "int8"


@pytest.mark.parametrize(("beyond", "chosen"), [(0.4, "int8"), (0.6, "fp32")])
def test_cells_that_are_computed_twice_count_twice(
    bundle: Bundle, seconds: dict[str, float], beyond: float, chosen: EngineName
) -> None:
    seconds |= {"int8": 1.0, "fp32": 2.0}
    some = CHECK.model_copy(update={"beyond": beyond})
    assert fastest(having(bundle, some), threads=1) == chosen


def test_a_refused_engine_is_not_measured(bundle: Bundle, seconds: dict[str, float]) -> None:
    seconds |= {"fp32": 1.0}
    refused = CHECK.model_copy(update={"refused": "it says something else"})
    assert fastest(having(bundle, refused), threads=1) == "fp32"


def test_a_measurement_takes_time(bundle: Bundle) -> None:
    assert engines._seconds(OnnxEngine(bundle.file("fp32.onnx"), threads=1), bundle, 2) > 0


def test_cells_beyond_the_integers_are_computed_in_floating_point(
    bundle: Bundle, store: Store
) -> None:
    cells = store.pixels[store.rows("train")[:4]]
    glare = 255 * np.random.default_rng(0).integers(0, 2, cells.shape, dtype=np.uint8)
    pictures = np.concatenate([cells[:2], glare, cells[2:]])
    exact, integers = (open_engine(bundle, name, 1)(pictures) for name in ("fp32", "int8"))
    assert integers.beyond is not None
    assert integers.beyond.tolist() == [False] * 2 + [True] * 4 + [False] * 2
    np.testing.assert_allclose(
        integers.log_odds[integers.beyond], exact.log_odds[integers.beyond], atol=1e-6
    )
    np.testing.assert_allclose(
        integers.features[integers.beyond], exact.features[integers.beyond], atol=1e-5
    )
    inside = ~integers.beyond
    assert np.all(integers.log_odds[inside] != exact.log_odds[inside])
