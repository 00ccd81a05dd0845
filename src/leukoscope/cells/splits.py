"""Who trains, who chooses, who judges: every cell's `split`.

- ``subject`` (the default): no person stands on two sides, so a figure speaks of new patients.
- ``lab``: at the level of the image, as the original lab did. A subject's cells then stand on both
  sides, and a network that recognises the subject's stain looks better than it is.
- ``official``: the C-NMC 2019 division: folds 0 and 1 train, fold 2 validates, the preliminary
  test is the test.
- ``shifted``: the people of fold 0 train and, a part of them, validate; everyone else tests. Normal
  cells of fold 0 are smaller than those of other folds, so size and stain mislead here.

The subject split is made of `parts`, groups of whole people: one part tests, the next validates,
the others train. Which part tests is the `fold`, so that every person can be tested once.
"""

from typing import Literal

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from leukoscope.cells.manifest import CLASSES, SPLITS
from leukoscope.errors import BadInputError

Policy = Literal["subject", "lab", "official", "shifted"]

LAB_CELLS = {"train": 7_995, "validation": 1_599, "test": 1_067}
"""The original lab's division of the 10,661 training cells of C-NMC 2019."""

PARTS = 5
"""The subject split: one part of five tests, one validates, three train."""

OFFICIAL = {"fold_0": "train", "fold_1": "train", "fold_2": "validation", "prelim": "test"}


def split(cells: pd.DataFrame, policy: Policy, seed: int = 0, fold: int = 0) -> pd.Series:
    """Return each row's split, ``train``, ``validation``, ``test`` or NA (stands aside).

    Args:
        cells: a manifest; for ``subject`` with a column `part`, from `parts`, for ``shifted`` with
            a column `person`.
        policy: see the module.
        seed: of the draw, of ``lab`` and ``shifted``.
        fold: for ``subject``, the part that tests.

    Raises:
        BadInputError: the manifest lacks what the policy needs, or a split would lack a class.
    """
    if policy == "subject":
        drawn = _by_part(cells["part"], fold)
    elif policy == "lab":
        drawn = _by_image(cells, seed)
    else:
        drawn = _official(cells) if policy == "official" else _shifted(cells, seed)
    result = drawn.astype("string").reindex(cells.index).rename("split")
    _check(cells, result)
    return result


def parts(cells: pd.DataFrame, count: int = PARTS, seed: int = 0) -> pd.Series:
    """Divide the people of `cells` into groups with about as many cells of each class.

    Returns each row's part, 0 … `count` - 1 (NA: no label), asserted to be the same for all cells
    of a person.

    Args:
        cells: with columns `label` and `person`.
        count: how many parts; a class with fewer people than that makes fewer.
        seed: of the draw.

    Raises:
        BadInputError: a labelled cell's person is unknown, or a class has too few people.
    """
    known = cells[cells["label"].notna()]
    nameless = int(known["person"].isna().sum())
    if nameless:
        raise BadInputError(
            f"{nameless:,} cells have no subject, so a subject split cannot be made; "
            "name the subjects in the manifest, or take --split lab knowing what it hides"
        )
    people = known.groupby("label")["person"].nunique().reindex(list(CLASSES), fill_value=0)
    fewest = int(people.min())
    if fewest < len(SPLITS):
        raise BadInputError(
            f"a class has only {fewest} subject(s); a subject split needs at least {len(SPLITS)}"
        )
    groups = StratifiedGroupKFold(min(count, fewest), shuffle=True, random_state=seed)
    result = pd.Series(pd.NA, index=cells.index, dtype="Int64", name="part")
    rows_of_parts = groups.split(known, known["label"].astype(int), known["person"])
    for part, (_, rows) in enumerate(rows_of_parts):
        result[known.index[rows]] = part
    if result.groupby(cells["person"]).nunique().gt(1).any():
        raise AssertionError("a person stands in two parts of a subject split")
    return result


def shared_people(cells: pd.DataFrame, by: str = "person") -> list[str]:
    """Return who stands on more than one side of `cells`' split, sorted.

    Args:
        cells: with columns `split` and `by`.
        by: ``person``, or ``subject`` to take each name for a person of its own.
    """
    sides = cells.dropna(subset=[by, "split"]).groupby(by)["split"].nunique()
    return sorted(sides.index[sides > 1])


def _by_part(part: pd.Series, fold: int) -> pd.Series:
    if part.isna().all():
        raise BadInputError(
            "the people of this store are not divided into parts; prepare it with --split subject"
        )
    count = int(part.max()) + 1
    if not 0 <= fold < count:
        raise BadInputError(f"fold {fold}: the parts of this store are 0 to {count - 1}")
    sides = dict.fromkeys(range(count), "train")
    sides |= {(fold + 1) % count: "validation", fold: "test"}
    return part.map(sides, na_action="ignore")


def _by_image(cells: pd.DataFrame, seed: int) -> pd.Series:
    if cells["split"].notna().any():  # the lab's own lists: theirs is the division
        return cells["split"].dropna()
    # The lab's 10,661 cells are the training folds; the challenge's own tests stand aside.
    cells = cells[cells["label"].notna() & ~cells["fold"].isin(["prelim", "final"])]
    total = sum(LAB_CELLS.values())
    try:
        rest, test = train_test_split(
            cells.index,
            test_size=LAB_CELLS["test"] / total,
            stratify=cells["label"],
            random_state=seed,
        )
        train, validation = train_test_split(
            rest,
            test_size=LAB_CELLS["validation"] / (total - LAB_CELLS["test"]),
            stratify=cells.loc[rest, "label"],
            random_state=seed,
        )
    except ValueError as error:
        raise BadInputError(f"{len(cells):,} labelled cells cannot be divided: {error}") from error
    sides = {"train": train, "validation": validation, "test": test}
    return pd.concat(pd.Series(name, index=rows) for name, rows in sides.items())


def _official(cells: pd.DataFrame) -> pd.Series:
    missing = sorted(set(OFFICIAL) - set(cells["fold"].dropna()))
    if missing:
        raise BadInputError(
            f"--split official needs the folds {', '.join(OFFICIAL)}; "
            f"this manifest lacks {', '.join(missing)}"
        )
    return cells["fold"].map(OFFICIAL).dropna()


def _shifted(cells: pd.DataFrame, seed: int) -> pd.Series:
    home = cells["fold"].eq("fold_0").fillna(False)
    others = cells["fold"].isin(["fold_1", "fold_2"])
    if not home.any() or not others.any():
        raise BadInputError("--split shifted needs cells of fold_0 and of the other training folds")
    # A person with cells on both sides is at home in fold 0.
    at_home = cells["person"].isin(cells.loc[home, "person"].dropna()) & (home | others)
    part = parts(cells[at_home], PARTS, seed)
    sides = {0: "validation"} | dict.fromkeys(range(1, PARTS), "train")
    chosen = part.map(sides, na_action="ignore")
    tested = cells["label"].notna() & others & ~at_home
    sides_of_all: pd.Series = pd.concat([chosen, pd.Series("test", cells.index[tested])])
    return sides_of_all


def _check(cells: pd.DataFrame, sides: pd.Series) -> None:
    """Every split that is trained or chosen on must hold both classes, and no unknown label."""
    for name in SPLITS[:2]:
        labels = cells.loc[sides.eq(name).fillna(False), "label"]
        missing = int(labels.isna().sum())
        if missing:
            raise BadInputError(f"{missing:,} cells of the {name} split have no label")
        counts = [int((labels == label).sum()) for label in (0, 1)]
        if not all(counts):
            raise BadInputError(
                f"the {name} split would hold {counts[0]:,} normal cells and {counts[1]:,} blasts: "
                "there are too few cells or subjects to divide"
            )
