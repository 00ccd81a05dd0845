"""Calls subject by subject: how many cells, and what share of them are blasts."""

import pandas as pd

from leukoscope.evaluation.point import OperatingPoint
from leukoscope.evaluation.subjects import blast_share
from leukoscope.inference.calls import REVIEW


def by_subject(calls: pd.DataFrame, point: OperatingPoint) -> pd.DataFrame:
    """Return one row a subject, in the order of `calls`; pictures without one are left out.

    Columns: subject; cells, of which there is a probability; unread, pictures that could not be
    read; review, cells left to a person; likelier_blast, cells that are blasts rather than not,
    those for review among them; blast_share with blast_share_low and blast_share_high, that count
    corrected for how often such calls were wrong on other subjects, see
    `leukoscope.evaluation.subjects.blast_share`; empty where it cannot be told.

    Args:
        calls: see `leukoscope.inference.calls`.
        point: of the bundle that called: from which probability a cell is likelier a blast.
    """
    table = (
        calls.assign(
            cells=calls["probability"].notna(),
            unread=calls["probability"].isna(),
            review=calls["call"].eq(REVIEW).fillna(False),
            likelier_blast=calls["probability"].ge(point.threshold),
        )
        .groupby("subject", sort=False)[["cells", "unread", "review", "likelier_blast"]]
        .sum()
        .astype(int)
        .reset_index()
    )
    names = ["blast_share", "blast_share_low", "blast_share_high"]
    shares = [
        blast_share(blasts, cells, point) if cells else (None,) * len(names)
        for cells, blasts in table[["cells", "likelier_blast"]].to_numpy()
    ]
    table[names] = pd.DataFrame(shares, index=table.index, columns=names, dtype=float)
    return table
