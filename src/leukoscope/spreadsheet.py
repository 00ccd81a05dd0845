"""Tables that a spreadsheet may open: what a cell holds is shown, never computed.

A text that a spreadsheet would take for a formula, because of its first sign, is written with an
apostrophe before it. https://owasp.org/www-community/attacks/CSV_Injection
"""

import csv
import re
from pathlib import Path
from typing import Literal

import pandas as pd

from leukoscope.files import atomic

FORMULA = r"^('*[=+\-@\t\r\n])"
MARKED = r"^'('*[=+\-@\t\r\n])"


def write_csv(table: pd.DataFrame, target: Path) -> None:
    """Write `table` without its index to `target`, atomically, no formula in it."""
    with atomic(target) as scratch:
        shown = pd.DataFrame({name: _neutral(column) for name, column in table.items()})
        # A text that holds an old Mac's line end is not quoted by itself, and would end the row.
        broken = shown.select_dtypes(["object", "string"]).map(lambda value: "\r" in str(value))
        quoting: Literal[0, 2] = csv.QUOTE_MINIMAL
        if broken.any(axis=None):
            quoting = csv.QUOTE_NONNUMERIC
        shown.to_csv(scratch, index=False, lineterminator="\n", quoting=quoting)


def as_given(text: str) -> str:
    """Return a text as it was before `write_csv` wrote it."""
    return re.sub(MARKED, r"\1", text)


def _neutral(column: pd.Series) -> pd.Series:
    if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)):
        return column
    texts = column.map(lambda value: isinstance(value, str))
    return column.where(~texts, column.astype("string").str.replace(FORMULA, r"'\1", regex=True))
