"""Tables for spreadsheets: no text in them is a formula, and what was marked reads back."""

from pathlib import Path

import pandas as pd
import pytest

from leukoscope.spreadsheet import as_given, write_csv

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'=1", "''-1"]
HARMLESS = ["cell.bmp", "'quoted'", "a=1", "", "all:11"]


@pytest.mark.parametrize("text", FORMULAS + HARMLESS)
def test_no_text_is_a_formula_and_all_read_back(tmp_path: Path, text: str) -> None:
    write_csv(pd.DataFrame({"name": [text], "number": [-1.5]}), tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv", keep_default_na=False, dtype={"name": str})
    shown = read["name"].iloc[0]
    assert shown[:1] not in {"=", "+", "-", "@", "\t", "\r"}
    assert as_given(shown) == text
    assert shown == (text if text in HARMLESS else f"'{text}")
    assert read["number"].iloc[0] == -1.5


@pytest.mark.parametrize("kind", ["object", "string", "str"])
def test_what_is_no_text_stays(tmp_path: Path, kind: str) -> None:
    table = pd.DataFrame({"a": pd.Series(["=1", None], dtype=kind), "b": [1, -2]})
    write_csv(table, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "a,b\n'=1,1\n,-2\n"


def test_mixed_values_keep_their_own_form(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": pd.Series([-1, "-1", 2.5, None], dtype=object)})
    write_csv(table, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == 'a\n-1\n\'-1\n2.5\n""\n'


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"a": [], "b": []}), tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "a,b\n"
