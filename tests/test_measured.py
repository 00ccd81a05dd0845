"""A choice by measurement: made once a machine and question, kept, measured anew if it is lost."""

from pathlib import Path

import pytest

from leukoscope import measured

pytestmark = pytest.mark.usefixtures("own_cache")

AMONG = ["plain", "fancy"]


def unasked(name: str) -> float:
    raise AssertionError(f"{name} was measured")


@pytest.mark.parametrize("best", AMONG)
def test_the_faster_one_is_chosen_once(best: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert measured.fastest("which", AMONG, lambda name: 2.0 if name == best else 1.0) == best
    assert f"{best} is used from now on" in capsys.readouterr().err
    assert measured.fastest("which", AMONG, unasked) == best
    assert capsys.readouterr().err == ""


def test_another_question_and_another_machine_are_measured_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert measured.fastest("1 thread", AMONG, {"plain": 2.0, "fancy": 1.0}.__getitem__) == "plain"
    assert measured.fastest("2 threads", AMONG, {"plain": 1.0, "fancy": 2.0}.__getitem__) == "fancy"
    assert measured.fastest("1 thread", AMONG, unasked) == "plain"
    monkeypatch.setattr(measured, "_processor", lambda: "another")
    assert measured.fastest("1 thread", AMONG, {"plain": 1.0, "fancy": 2.0}.__getitem__) == "fancy"


def test_the_first_one_stays_unless_another_leads() -> None:
    rates = {"plain": 10.0, "fancy": 11.9}
    assert measured.fastest("close", AMONG, rates.__getitem__, lead=1.2) == "plain"
    rates["fancy"] = 12.1
    assert measured.fastest("ahead", AMONG, rates.__getitem__, lead=1.2) == "fancy"
    rates["fancy"] = 10.0
    assert measured.fastest("alike", AMONG, rates.__getitem__) == "plain"


@pytest.mark.parametrize("busy", [0, 1, 2, 3])
def test_a_busy_moment_decides_nothing(busy: int) -> None:
    rates = iter([2.0 if turn % 2 else 1.0 for turn in range(2 * measured.ROUNDS)])
    turns = iter(range(2 * measured.ROUNDS))

    def rate(_: str) -> float:
        return next(rates) / (10 if next(turns) in range(busy, busy + 4) else 1)

    assert measured.fastest("which", AMONG, rate) == "fancy"


def test_a_single_one_needs_no_measurement() -> None:
    assert measured.fastest("which", ["fancy"], unasked) == "fancy"


def test_an_amount_is_measured_once(own_cache: Path) -> None:
    def unmeasured() -> int:
        raise AssertionError("measured again")

    assert measured.amount("how many", lambda: 3) == 3
    assert measured.amount("how many", unmeasured) == 3
    assert measured.amount("how many others", lambda: 4) == 4
    (kept,) = own_cache.rglob("*.json")
    kept.write_text(kept.read_text(encoding="utf-8").replace('"3"', '"many"'), encoding="utf-8")
    assert measured.amount("how many", lambda: 5) == 5
    assert measured.amount("how many others", unmeasured) == 4


@pytest.mark.parametrize("damage", ["{", "3", '{"a": 1}', None])
def test_a_cache_that_cannot_be_used_is_measured_anew(own_cache: Path, damage: str | None) -> None:
    measured.fastest("which", AMONG, {"plain": 2.0, "fancy": 1.0}.__getitem__)
    (kept,) = own_cache.rglob("*.json")
    if damage is None:
        damage = kept.read_text(encoding="utf-8").replace('"plain"', '"gone"')
    kept.write_text(damage, encoding="utf-8")
    assert measured.fastest("which", AMONG, {"plain": 1.0, "fancy": 2.0}.__getitem__) == "fancy"


def test_no_place_for_a_cache_is_no_obstacle(own_cache: Path) -> None:
    own_cache.write_text("a file where a folder should be", encoding="utf-8")
    assert measured.fastest("which", AMONG, {"plain": 2.0, "fancy": 1.0}.__getitem__) == "plain"
