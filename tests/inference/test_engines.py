"""Choosing an engine: by one measurement, of those that the bundle holds."""

import pytest

from leukoscope.inference import engines
from leukoscope.inference.bundle import Bundle, Check
from leukoscope.inference.engines import Engine, EngineName, OnnxEngine, fastest

pytestmark = pytest.mark.usefixtures("own_cache")

CHECK = Check(cells=9, largest_difference=0, agreement=1, auroc_change=0, farthest=0)


def having(bundle: Bundle, int8: Check) -> Bundle:
    info = bundle.info.model_copy(update={"checks": {"fp32": CHECK, "int8": int8}})
    return Bundle(bundle.folder, info)


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What is measured of each engine; those not in it must not be measured."""
    found: dict[str, float] = {}

    def open_named(_bundle: Bundle, name: EngineName, _threads: int) -> str:
        return name

    monkeypatch.setattr(engines, "open_engine", open_named)
    monkeypatch.setattr(engines, "_rate", lambda name, *_: found[name])
    return found


def test_the_faster_one_is_chosen_for_each_number_of_threads(
    bundle: Bundle, rates: dict[str, float]
) -> None:
    rates |= {"int8": 2.0, "fp32": 1.0}
    assert fastest(having(bundle, CHECK), threads=1) == "int8"
    rates |= {"int8": 1.0, "fp32": 2.0}
    assert fastest(having(bundle, CHECK), threads=2) == "fp32"
    assert fastest(having(bundle, CHECK), threads=1) == "int8"


def test_a_refused_engine_is_not_measured(bundle: Bundle, rates: dict[str, float]) -> None:
    refused = CHECK.model_copy(update={"refused": "it says something else"})
    assert fastest(having(bundle, refused), threads=1) == "fp32"


def test_a_measurement_is_a_rate(bundle: Bundle) -> None:
    engine: Engine = OnnxEngine(bundle.file("fp32.onnx"), threads=1)
    assert engines._rate(engine, bundle, threads=2) > 0
