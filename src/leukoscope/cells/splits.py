"""Who trains, who chooses, who judges: every cell's `split`.

- ``subject`` (the default): no subject stands on two sides, so a figure speaks of new patients.
- ``lab``: at the level of the image, as the original lab did. A subject's cells then stand on both
  sides, and a network that recognises the subject's stain looks better than it is.
- ``official``: the C-NMC 2019 division: folds 0 and 1 train, fold 2 validates, the preliminary
  test is the test.
"""

from typing import Literal

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from leukoscope.errors import BadInputError

Policy = Literal["subject", "lab", "official"]

SPLITS = ("train", "validation", "test")

LAB_CELLS = {"train": 7_995, "validation": 1_599, "test": 1_067}
"""The original lab's division of the 10,661 training cells of C-NMC 2019."""

SUBJECT_PARTS = 5
"""The subject split: one part of five tests, one validates, three train."""

OFFICIAL = {"fold_0": "train", "fold_1": "train", "fold_2": "validation", "prelim": "test"}


def split(cells: pd.DataFrame, policy: Policy, seed: int = 0) -> pd.Series:
    """Return each row's split, ``train``, ``validation``, ``test`` or NA (stands aside).

    Args:
        cells: a manifest.
        policy: see the module.
        seed: of the draw; ``official`` draws nothing.

    Raises:
        BadInputError: the manifest lacks what the policy needs, or a split would lack a class.
    """
    policies = {"subject": _by_subject, "lab": _by_image, "official": _official}
    drawn = policies[policy](cells, seed)
    result = drawn.astype("string").reindex(cells.index).rename("split")
    _check(cells, result)
    if policy == "subject":
        _assert_disjoint(cells, result)
    return result


def shared_subjects(cells: pd.DataFrame) -> list[str]:
    """Return the subjects that stand on more than one side of `cells`' split, sorted."""
    sides = cells.dropna(subset=["subject", "split"]).groupby("subject")["split"].nunique()
    return sorted(sides.index[sides > 1])


def _by_image(cells: pd.DataFrame, seed: int) -> pd.Series:
    if cells["split"].notna().any():  # the lab's own lists: theirs is the division
        return cells["split"].dropna()
    # The lab's 10,661 cells are the training folds; the challenge's own tests stand aside.
    cells = cells[cells["label"].notna() & ~cells["fold"].isin(["prelim", "final"])]
    total = sum(LAB_CELLS.values())
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
    sides = {"train": train, "validation": validation, "test": test}
    return pd.concat(pd.Series(name, index=rows) for name, rows in sides.items())


def _by_subject(cells: pd.DataFrame, seed: int) -> pd.Series:
    cells = cells[cells["label"].notna()]
    nameless = int(cells["subject"].isna().sum())
    if nameless:
        raise BadInputError(
            f"{nameless:,} cells have no subject, so a subject split cannot be made; "
            "name the subjects in the manifest, or take --split lab knowing what it hides"
        )
    fewest = int(cells.groupby("label")["subject"].nunique().min())
    if fewest < len(SPLITS):
        raise BadInputError(
            f"a class has only {fewest} subject(s); a subject split needs at least {len(SPLITS)}"
        )
    folds = StratifiedGroupKFold(min(SUBJECT_PARTS, fewest), shuffle=True, random_state=seed)
    result = pd.Series("train", index=cells.index)
    parts = folds.split(cells, cells["label"].astype(int), cells["subject"])
    for name in ("test", "validation"):
        _, rows = next(parts)
        result.iloc[rows] = name
    return result


def _official(cells: pd.DataFrame, seed: int) -> pd.Series:
    missing = sorted(set(OFFICIAL) - set(cells["fold"].dropna()))
    if missing:
        raise BadInputError(
            f"--split official needs the folds {', '.join(OFFICIAL)}; "
            f"this manifest lacks {', '.join(missing)}"
        )
    return cells["fold"].map(OFFICIAL).dropna()


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


def _assert_disjoint(cells: pd.DataFrame, sides: pd.Series) -> None:
    shared = shared_subjects(cells.assign(split=sides))
    if shared:
        raise AssertionError(f"subjects on two sides of a subject split: {', '.join(shared)}")
