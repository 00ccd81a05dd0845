"""Choosing an engine: by one measurement a machine, kept."""

from pathlib import Path

import pytest

from leukoscope.inference import engines
from leukoscope.inference.bundle import Bundle, Check
from leukoscope.inference.engines import Engine, EngineName, OnnxEngine, fastest

CHECK = Check(cells=9, largest_difference=0, agreement=1, auroc_change=0)


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


@pytest.mark.parametrize("best", ["int8", "fp32"])
def test_the_faster_one_is_chosen_once(
    bundle: Bundle, rates: dict[str, float], best: EngineName, capsys: pytest.CaptureFixture[str]
) -> None:
    both = having(bundle, CHECK)
    rates |= {"int8": 100.0, "fp32": 100.0} | {best: 200.0}
    assert fastest(both, threads=1) == best
    assert f"{best} is used from now on" in capsys.readouterr().err
    rates.clear()
    assert fastest(both, threads=1) == best
    assert capsys.readouterr().err == ""


def test_another_number_of_threads_is_measured_anew(
    bundle: Bundle, rates: dict[str, float]
) -> None:
    rates |= {"int8": 2.0, "fp32": 1.0}
    assert fastest(having(bundle, CHECK), threads=1) == "int8"
    rates |= {"int8": 1.0, "fp32": 2.0}
    assert fastest(having(bundle, CHECK), threads=2) == "fp32"
    assert fastest(having(bundle, CHECK), threads=1) == "int8"


@pytest.mark.parametrize("damage", ["{", "3", '{"a": 1}', None])
def test_a_cache_that_cannot_be_used_is_measured_anew(
    bundle: Bundle, rates: dict[str, float], own_cache: Path, damage: str | None
) -> None:
    rates |= {"int8": 2.0, "fp32": 1.0}
    fastest(having(bundle, CHECK), threads=1)
    (kept,) = own_cache.rglob("*.json")
    if damage is None:
        damage = kept.read_text(encoding="utf-8").replace('"int8"', '"gone"')
    kept.write_text(damage, encoding="utf-8")
    rates |= {"int8": 1.0, "fp32": 2.0}
    assert fastest(having(bundle, CHECK), threads=1) == "fp32"


def test_no_place_for_a_cache_is_no_obstacle(
    bundle: Bundle, rates: dict[str, float], own_cache: Path
) -> None:
    own_cache.write_text("a file where a folder should be", encoding="utf-8")
    rates |= {"int8": 2.0, "fp32": 1.0}
    assert fastest(having(bundle, CHECK), threads=1) == "int8"


def test_a_single_engine_needs_no_measurement(bundle: Bundle, rates: dict[str, float]) -> None:
    refused = CHECK.model_copy(update={"refused": "it says something else"})
    assert fastest(having(bundle, refused), threads=1) == "fp32"


def test_a_measurement_is_a_rate(bundle: Bundle) -> None:
    engine: Engine = OnnxEngine(bundle.file("fp32.onnx"), threads=1)
    assert engines._rate(engine, bundle, threads=2) > 0
