"""A recipe in words: how a network was trained, for checklist and model card."""

from leukoscope.cells.augment import Augmentation
from leukoscope.training.recipe import Recipe

OPTIMIZERS = {"sgd": "SGD with momentum {momentum:g}", "adamw": "AdamW"}

DRAWN = {
    "none": "each once an epoch",
    "class": "drawn so that both classes come alike",
    "person": "drawn so that both classes come alike, and in each all people",
}

SEEN = {
    "training": "Each channel is standardised by mean and spread of the training pictures.",
    "density": "Optical density is standardised along its principal components in training cells.",
    "cell": "Each channel is standardised by mean and spread inside the cell itself.",
    "grey": "Luminance alone is seen, standardised by mean and spread inside the cell itself.",
}
"""What is done to pictures before a network sees them."""


def fitting(recipe: Recipe) -> str:
    """Say how the weights are fitted."""
    loss = "Cross-entropy"
    if recipe.label_smoothing:
        loss += f" with labels smoothed by {recipe.label_smoothing:g}"
    if recipe.teacher:
        loss += (
            f", {100 * recipe.teacher:g} % of each target given by a logistic regression on "
            "handmade features of the training cells"
        )
    if recipe.mixup:
        loss += f", of pictures laid over each other (mixup, α = {recipe.mixup:g})"
    rate = f"learning rate {recipe.learning_rate:g}"
    if recipe.warmup:
        rate += f" after a rise over {recipe.warmup:g} epoch{'s' if recipe.warmup != 1 else ''}"
    if recipe.schedule == "cosine":
        rate += ", falling to 0 as a cosine"
    steps = OPTIMIZERS[recipe.optimizer].format(momentum=recipe.momentum)
    told = (
        f"{loss}; {steps}, {rate}, weight decay {recipe.weight_decay:g}; batches of "
        f"{recipe.batch_size} cells, {DRAWN[recipe.balance]}."
    )
    if recipe.zero_init_residual:
        told += " Each residual block begins as its shortcut, its branch's last norm at zero."
    return told


def changed(augmentation: Augmentation) -> str:
    """Say how training pictures are changed besides their quarter-turns; nothing if they are not.

    The numbers are the fields of `Augmentation`.
    """
    ways = [
        "any angle" if augmentation.rotation else "",
        f"sizes by up to {100 * augmentation.scale:g} %" if augmentation.scale else "",
        f"shifts by up to {100 * augmentation.shift:g} % of the side" if augmentation.shift else "",
        f"amounts of stain by up to {100 * augmentation.stain:g} %" if augmentation.stain else "",
        f"light by up to {100 * augmentation.light:g} %" if augmentation.light else "",
    ]
    return ", ".join(way for way in ways if way)


def chosen(recipe: Recipe) -> str:
    """Say which weights are kept, and how they call."""
    if recipe.keep == "best":
        kept = "The epoch with the highest validation accuracy, then the lowest validation loss."
    else:
        kept = "The last epoch, planned before; validation chose temperature and thresholds only."
    if recipe.averaging:
        kept += f" Its weights are a moving average over steps (decay {recipe.averaging:g})."
    if recipe.turns_averaged:
        kept += " They call a picture by the mean over its eight turns."
    return kept
