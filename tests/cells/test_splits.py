"""Splits: sizes from the lab's published division, disjointness of subjects."""

import numpy as np
import pandas as pd
import pytest

from leukoscope.cells.manifest import COLUMNS, typed
from leukoscope.cells.splits import LAB_CELLS, parts, shared_people, split
from leukoscope.errors import BadInputError


def table(labels: np.ndarray, subjects: list[str] | None = None, fold: str | None = None):
    cells = pd.DataFrame(index=range(len(labels)), columns=COLUMNS, dtype=object)
    cells["id"] = cells["path"] = [f"{row}.bmp" for row in range(len(labels))]
    cells["label"] = labels
    cells["subject"] = cells["person"] = subjects
    cells["fold"] = fold
    return typed(cells)


@pytest.fixture(scope="module")
def full() -> pd.DataFrame:
    """The label counts of the whole C-NMC training set, in 73 subjects of uneven size."""
    labels = np.repeat([0, 1], [3_389, 7_272])
    random = np.random.default_rng(0)
    weights = random.lognormal(0, 1, 73)
    groups = [random.choice(26, 3_389, p=weights[:26] / weights[:26].sum())]
    groups += [random.choice(47, 7_272, p=weights[26:] / weights[26:].sum())]
    subjects = [f"hem:{n}" for n in groups[0]] + [f"all:{n}" for n in groups[1]]
    return table(labels, subjects, "fold_0")


def test_lab_split_has_the_labs_proportions(full: pd.DataFrame) -> None:
    sides = split(full, "lab", seed=3)
    assert sides.value_counts().to_dict() == LAB_CELLS
    counts = pd.crosstab(sides, full["label"])
    # What the lab handed out: 2,542 + 5,453 and 508 + 1,091.
    assert counts.loc["train"].tolist() == pytest.approx([2_542, 5_453], abs=1)
    assert counts.loc["validation"].tolist() == pytest.approx([508, 1_091], abs=1)
    assert shared_people(full.assign(split=sides))


def test_lab_split_takes_the_labs_own_lists(full: pd.DataFrame) -> None:
    own = full.assign(split=pd.array(["validation"] * 5_000 + ["train"] * 5_661, dtype="string"))
    own.loc[:10, "split"] = "train"
    assert split(own, "lab").tolist() == own["split"].tolist()


def test_lab_split_leaves_the_challenges_tests_aside(full: pd.DataFrame) -> None:
    more = table(np.array([0, 1] * 50), ["all:99"] * 100, "prelim")
    sides = split(pd.concat([full, more], ignore_index=True), "lab")
    assert sides.iloc[:10_661].value_counts().to_dict() == LAB_CELLS
    assert sides.iloc[10_661:].isna().all()


@pytest.mark.parametrize("seed", range(5))
def test_subject_split_is_disjoint_and_stratified(full: pd.DataFrame, seed: int) -> None:
    sides = split(full.assign(part=parts(full, seed=seed)), "subject")
    assert sides.notna().all()
    assert not shared_people(full.assign(split=sides))
    shares = full["label"].astype(float).groupby(sides).mean()
    assert shares.to_numpy() == pytest.approx(7_272 / 10_661, abs=0.08)
    sizes = sides.value_counts(normalize=True)
    assert sizes["train"] == pytest.approx(0.6, abs=0.08)
    assert sizes["test"] == pytest.approx(0.2, abs=0.06)


def test_names_of_one_person_stay_together(full: pd.DataFrame) -> None:
    joint = full["subject"].replace({"hem:1": "hem:1=hem:2", "hem:2": "hem:1=hem:2"})
    divided = full.assign(person=joint)
    divided["part"] = parts(divided)
    one = divided[divided["subject"].isin(["hem:1", "hem:2"])]
    assert one["part"].nunique() == 1


def test_over_all_folds_each_person_is_tested_once(full: pd.DataFrame) -> None:
    divided = full.assign(part=parts(full, 4))
    tested = [split(divided, "subject", fold=fold).eq("test") for fold in range(4)]
    assert (np.sum(tested, axis=0) == 1).all()
    for fold in range(4):
        validates = split(divided, "subject", fold=fold).eq("validation")
        assert validates.equals(tested[(fold + 1) % 4])
    with pytest.raises(BadInputError, match="fold 4: the parts of this store are 0 to 3"):
        split(divided, "subject", fold=4)


def test_the_seed_decides(full: pd.DataFrame) -> None:
    for draw in (lambda seed: split(full, "lab", seed), lambda seed: parts(full, seed=seed)):
        assert draw(1).equals(draw(1))
        assert not draw(1).equals(draw(2))


def test_official_split_follows_the_folds() -> None:
    folds = ["fold_0", "fold_1", "fold_2", "prelim", "final"]
    cells = pd.concat([table(np.array([0, 1]), ["a", "b"], fold) for fold in folds])
    sides = split(cells.reset_index(drop=True), "official").fillna("aside")
    assert sides.tolist() == ["train"] * 4 + ["validation"] * 2 + ["test"] * 2 + ["aside"] * 2


def test_official_split_says_which_part_is_missing(full: pd.DataFrame) -> None:
    with pytest.raises(BadInputError, match="lacks fold_1, fold_2, prelim"):
        split(full, "official")


@pytest.mark.parametrize(
    ("labels", "subjects", "message"),
    [
        ([0, 1] * 10, None, "20 cells have no subject"),
        ([0, 1] * 10, ["hem:1", "all:1"] * 10, "only 1 subject"),
    ],
)
def test_subject_split_needs_subjects(labels, subjects, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        parts(table(np.array(labels), subjects))


def test_a_split_needs_both_classes_and_labels(full: pd.DataFrame) -> None:
    own = full.assign(split=pd.array(["train"] * 3_389 + ["validation"] * 7_272, dtype="string"))
    with pytest.raises(BadInputError, match="train split would hold 3,389 normal cells and 0"):
        split(own, "lab")
    nothing = full.assign(label=pd.array([pd.NA] * len(full), dtype="Int64"))
    with pytest.raises(BadInputError, match=r"0 labelled cells cannot be divided"):
        split(nothing, "lab")
    with pytest.raises(BadInputError, match=r"a class has only 0 subject"):
        parts(nothing)
    one = full.assign(label=full["label"].where(full["label"].eq(1) | (full.index == 0)))
    with pytest.raises(BadInputError, match=r"7,273 labelled cells cannot be divided"):
        split(one, "lab")
    with pytest.raises(BadInputError, match=r"1 cells of the train split have no label"):
        split(own.assign(label=own["label"].where(own.index > 0)), "lab")
