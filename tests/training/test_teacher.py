"""The teacher: sure of what handmade features tell, silent of what was not trained on."""

import numpy as np
import pytest
import torch

from leukoscope.cells.loader import Balance, TrainingLoader
from leukoscope.cells.store import Store
from leukoscope.training.teacher import taught


@pytest.mark.parametrize("balance", ["none", "person"])
def test_a_teacher_knows_its_own_cells_and_tells_of_no_others(
    store: Store, balance: Balance
) -> None:
    told = taught(TrainingLoader(store, 8, 0, balance))
    rows = store.rows("train")
    assert told.shape == (len(store.cells), 2)
    others = np.setdiff1d(np.arange(len(store.cells)), rows)
    assert told[others].isnan().all()
    torch.testing.assert_close(told[rows].sum(1), torch.ones(len(rows)))
    # Blasts of the drawn cells are larger: every one is told.
    assert (told[rows].argmax(1).numpy() == store.labels[rows]).all()
    assert ((told[rows] > 0) & (told[rows] < 1)).all()


def test_a_person_drawn_more_often_has_more_to_say(store: Store) -> None:
    loader = TrainingLoader(store, 8, 0, "person")
    before = taught(loader)[loader.rows]
    assert loader.share is not None
    # The network is to be told of her cells more surely, and of those like hers.
    people = store.cells["person"].to_numpy()[loader.rows]
    hers = people == people[0]
    loader.share = np.where(hers, 20.0, 1.0) * loader.share
    loader.share /= loader.share.sum()
    after = taught(loader)[loader.rows]
    own = torch.from_numpy(store.labels[loader.rows][hers])[:, None]
    surer = after[hers].gather(1, own) > before[hers].gather(1, own)
    assert surer.all()
