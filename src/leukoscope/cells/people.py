"""People: which subjects are one person, because one cell stands under both names.

A subject is a name. When the same cell stands under two names, the names are one person: a cell
has one owner. One shared cell joins them, for what it costs to be wrong is lopsided: two people
held for one lose a little freedom in a split, one person held for two leaks. How many cells join
two names is counted, so that a pair that hangs on a single one can be looked at.

One thing a shared cell cannot prove is that a person is both healthy and leukemic: where the two
cells differ in class, or the two names in the class they begin with (``all:``, ``hem:``), one of
the labels is wrong. Such a pair is a contradiction; it is reported and joins nothing.
"""

import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from leukoscope.cells.fingerprints import read_fingerprints
from leukoscope.cells.repeats import find_repeats

JOINT = "="
"""Between the names of one person: ``hem:10=hem:3``."""


def people(cells: pd.DataFrame) -> pd.Series:
    """Return each row's person, found by reading the pictures of `cells`, a manifest.

    A person is called by the subject's own name, or by all of its names, sorted, with `JOINT`
    between them. NA where the subject is unknown.

    Raises:
        BadInputError: pictures are missing or cannot be decoded; all are listed.
    """
    return people_of(cells, find_repeats(read_fingerprints(list(cells["path"]))))


def people_of(cells: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Return each row's person as `people` does, given the repeated `pairs` of `find_repeats`."""
    joins = shared_cells(cells, pairs)
    names = sorted(cells["subject"].dropna().unique())
    numbers = groups(len(names), *(joins[side].map(names.index) for side in ("a", "b")))
    members = pd.Series(names, index=names, dtype="string").groupby(numbers.to_numpy())
    persons = members.transform(lambda group: JOINT.join(group)).astype("string")
    return cells["subject"].map(persons).astype("string").rename("person")


def joint_names(cells: pd.DataFrame) -> list[str]:
    """Return the people of `cells` who have several names, as `people` calls them, sorted."""
    person = cells["person"]
    return sorted(person[person.ne(cells["subject"]).fillna(False)].unique())


def shared_cells(cells: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the two names that share cells, and how many: columns ``a``, ``b`` (a < b), ``cells``.

    Counted are cells, not pairs: one that stands three times is one. Contradictions do not count.
    """
    subjects = cells["subject"].to_numpy(dtype=object)
    proof = pairs[~contradictions(cells, pairs)]
    cell = groups(len(cells), proof["a"], proof["b"])
    stands = pd.DataFrame({"cell": cell, "subject": subjects}).dropna().drop_duplicates()
    met = stands.merge(stands, on="cell")
    met = met[met["subject_x"] < met["subject_y"]]
    counted = met.groupby(["subject_x", "subject_y"]).size().rename("cells").reset_index()
    return counted.rename(columns={"subject_x": "a", "subject_y": "b"})


def contradictions(cells: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Tell for each of `pairs` whether its two pictures differ in class, by label or by name."""
    kind = cells["subject"].str.extract(r"^(all|hem):", expand=False)
    differ = pd.Series(False, index=pairs.index)
    for told in (cells["label"], kind):
        a, b = (told.iloc[pairs[side]].reset_index(drop=True) for side in ("a", "b"))
        differ |= a.ne(b).fillna(False).to_numpy(dtype=bool)
    return differ


def groups(count: int, a: pd.Series, b: pd.Series) -> pd.Series:
    """Return the number of the connected component of each of `count` nodes, joined by a–b."""
    joined = coo_array(([1] * len(a), (a.to_numpy(int), b.to_numpy(int))), (count, count))
    return pd.Series(connected_components(joined, directed=False)[1])
