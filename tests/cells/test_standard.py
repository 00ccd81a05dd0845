"""Standards: what a network sees, by numbers that can be worked out."""

import numpy as np
import pytest
import torch

from leukoscope.cells.colour import Colour
from leukoscope.cells.gather import Batch, Gather
from leukoscope.cells.loader import ordered_batches
from leukoscope.cells.standard import OUTSIDE, Standard
from leukoscope.cells.store import Store


def test_by_training_it_is_normalised_and_channels_last(store: Store) -> None:
    rows = store.rows("validation")
    (batch,) = ordered_batches(Gather(store), rows, 100)
    standard = Standard.of(store)
    pictures = standard(batch)
    expected = (store.pixels[rows] / 255 - store.info.mean) / store.info.std
    assert pictures.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(pictures.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-4)
    assert batch.labels.tolist() == store.labels[rows].tolist()
    # Changed by nothing it is the same, the long way round.
    torch.testing.assert_close(standard(batch, lambda same: same), pictures, atol=1e-4, rtol=0)


@pytest.mark.parametrize("colour", ["cell", "grey"])
def test_by_the_cell_itself_neither_stain_nor_light_is_left(colour: Colour, store: Store) -> None:
    rows = store.rows("test")
    (batch,) = ordered_batches(Gather(store), rows, 100)
    standard = Standard.of(store, colour)
    seen = standard(batch)
    lit = batch.pictures.float() @ torch.tensor([0.299, 0.587, 0.114]) > 10
    for picture, inside in zip(seen, lit, strict=True):
        values = picture[:, inside]
        assert values.mean(1).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
        assert values.std(1, correction=0).tolist() == pytest.approx([1, 1, 1], abs=1e-3)
        assert (picture[:, ~inside] == -OUTSIDE).all()
    bright = torch.zeros(1, 16, 16, 3, dtype=torch.uint8)
    bright[:, 4:12, 4:12] = torch.randint(100, 200, (8, 8, 3), dtype=torch.uint8)
    cell = Batch(bright, None, torch.tensor([1]))
    dimmer = standard(cell, lambda pictures: 0.7 * pictures)
    torch.testing.assert_close(dimmer, standard(cell), atol=1e-4, rtol=1e-4)
    if colour == "grey":
        assert torch.equal(seen[:, 0], seen[:, 2])


def test_a_black_picture_is_all_outside(store: Store) -> None:
    black = Batch(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), None, torch.tensor([0, 1]))
    assert (Standard.of(store, "cell")(black) == -OUTSIDE).all()


def test_by_density_its_components_in_the_training_cells_are_unrelated_and_alike(
    store: Store,
) -> None:
    rows = store.rows("train")
    (batch,) = ordered_batches(Gather(store), rows, 1000)
    seen = Standard.of(store, "density")(batch)
    inside = batch.pictures.float() @ torch.tensor([0.299, 0.587, 0.114]) > 10
    values = seen.permute(1, 0, 2, 3)[:, inside]
    assert values.mean(1).tolist() == pytest.approx([0, 0, 0], abs=1e-3)
    torch.testing.assert_close(torch.cov(values), torch.eye(3), atol=1e-2, rtol=0)
    outside = seen.permute(1, 0, 2, 3)[:, ~inside]
    assert (outside == torch.tensor([OUTSIDE, 0, 0])[:, None]).all()
    # The first is light: where more passes, it is higher.
    light = batch.pictures[inside].float().mean(1)
    assert torch.corrcoef(torch.stack([light, values[0]]))[0, 1] > 0.9


def test_by_density_more_stain_moves_all_pixels_of_a_cell_alike(store: Store) -> None:
    pictures = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    pictures[:, 2:6, 2:6] = torch.randint(120, 250, (4, 4, 3), dtype=torch.uint8)
    cell = Batch(pictures, None, torch.tensor([1]))
    standard = Standard.of(store, "density")
    moved = standard(cell, lambda light: light * 0.5) - standard(cell)
    inside = moved[0, :, 2:6, 2:6].reshape(3, -1)
    # Half the light is ln 2 more density in each channel.
    expected = standard.mixing @ torch.full((3,), 2.0).log()
    torch.testing.assert_close(inside, expected[:, None].expand(3, 16), atol=1e-3, rtol=1e-3)
    assert (moved[0, :, :2] == 0).all()
