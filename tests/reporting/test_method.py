"""A recipe in words: all that differs from the lab's is said, and nothing that is not done."""

import pytest

from leukoscope.reporting.method import SEEN, changed, chosen, fitting
from leukoscope.training.recipe import Recipe, recipe


def told(asked: Recipe) -> str:
    words = [fitting(asked), SEEN[asked.colour], changed(asked.augmentation), chosen(asked)]
    return " ".join(word for word in words if word)


def test_the_labs_recipe() -> None:
    assert told(recipe("lab")) == (
        "Cross-entropy; SGD with momentum 0, learning rate 0.001, weight decay 0; batches of 16 "
        "cells, each once an epoch. Each channel is standardised by mean and spread of the "
        "training pictures. The epoch with the highest validation accuracy, then the lowest "
        "validation loss."
    )


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer=adamw", "AdamW, learning rate"),
        ("schedule=cosine", "learning rate 0.001, falling to 0 as a cosine, weight"),
        ("warmup=2", "learning rate 0.001 after a rise over 2 epochs, weight"),
        ("warmup=1", "learning rate 0.001 after a rise over 1 epoch, weight"),
        ("zero_init_residual=true", "Each residual block begins as its shortcut"),
        ("turns_averaged=true", "by the mean over its eight turns."),
        ("label_smoothing=0.1", "Cross-entropy with labels smoothed by 0.1;"),
        (
            "teacher=0.5",
            "Cross-entropy, 50 % of each target given by a logistic regression on handmade "
            "features of the training cells;",
        ),
        ("mixup=0.4", "pictures laid over each other (mixup, α = 0.4);"),
        ("balance=class", "drawn so that both classes come alike."),
        ("balance=person", "both classes come alike, and in each all people."),
        ("averaging=0.99", "moving average over steps (decay 0.99)"),
        ("keep=last", "The last epoch, planned before; validation chose temperature"),
        ("colour=cell", "inside the cell itself."),
        ("colour=density", "Optical density is standardised along"),
        ("colour=grey", "Luminance alone is seen"),
        ("augmentation.rotation=true", "any angle"),
        ("augmentation.scale=0.2", "sizes by up to 20 %"),
        ("augmentation.shift=0.05", "shifts by up to 5 % of the side"),
        ("augmentation.stain=0.1", "amounts of stain by up to 10 %"),
        ("augmentation.light=0.2", "light by up to 20 %"),
    ],
)
def test_whatever_differs_is_said(override: str, said: str) -> None:
    assert said in told(recipe("lab", [override]))
    assert said not in told(recipe("lab"))
