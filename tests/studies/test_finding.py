"""The rule that judges: each verdict can be reached, and one seed settles nothing small."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from leukoscope.errors import BadInputError
from leukoscope.studies.finding import Finding, Part, combined, decide, spoken


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ([0.51], "supported"),
        ([-0.51], "contradicted"),
        ([0.49], "undecided"),
        ([-0.49], "undecided"),
        ([0.1, 0.11, 0.1], "supported"),  # several seeds agree: the margin is theirs
        ([-0.1, -0.11, -0.1], "contradicted"),
        ([1.0, 9.0], "undecided"),  # two seeds far apart
        ([np.nan], "undecided"),
        ([2.0, np.inf], "undecided"),
        ([], "undecided"),
    ],
)
def test_a_part_is_judged_by_margin_or_spread(numbers: list[float], verdict: str) -> None:
    assert decide(numbers, margin=0.5) == verdict


def test_several_seeds_are_judged_by_students_interval() -> None:
    random = np.random.default_rng(0)
    for shift in np.linspace(-2, 2, 21):
        numbers = random.normal(shift, 1, 4)
        low, high = stats.t.interval(0.95, 3, numbers.mean(), stats.sem(numbers))
        expected = "supported" if low > 0 else "contradicted" if high < 0 else "undecided"
        assert decide(numbers, margin=99) == expected


def test_a_claim_needs_all_its_parts_and_falls_with_one() -> None:
    assert combined(["supported", "supported"]) == "supported"
    assert combined(["supported", "undecided"]) == "undecided"
    assert combined(["supported", "undecided", "contradicted"]) == "contradicted"


def test_several_numbers_are_said_with_their_range() -> None:
    assert spoken([0.25], "{:.2f}") == "0.25"
    assert spoken(np.array([1.0, 2.0, 6.0]), "{:.1f}") == "3.0 (1.0 to 6.0)"


def test_a_finding_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = pd.DataFrame({"batch_size": [16, 64], "fluctuation": [0.02, 0.01]})
    part = Part("it is so", "It measures 3", "supported")
    finding = Finding(
        "depth", "Is it?", "It is.", "supported", "It is — 3 ± 1.", [part], table, table
    )
    for path in finding.write(tmp_path):
        assert path.exists()
    again = Finding.read(tmp_path)
    pd.testing.assert_frame_equal(again.table, table)
    assert again.markdown() == finding.markdown()
    assert "| it is so | It measures 3 | supported |" in finding.markdown()
    assert (again.name, again.verdict, again.parts) == ("depth", "supported", [part])


def test_a_folder_without_a_finding_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no whole finding"):
        Finding.read(tmp_path)
    (tmp_path / "finding.json").write_text('{"name": "depth"}', encoding="utf-8")
    with pytest.raises(BadInputError, match="holds no whole finding"):
        Finding.read(tmp_path)
