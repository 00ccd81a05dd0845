"""Recipes: everything that decides how a network is trained, by name or by YAML."""

import math
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leukoscope.cells.augment import Augmentation
from leukoscope.cells.colour import Colour
from leukoscope.cells.loader import Balance
from leukoscope.errors import BadInputError, faults
from leukoscope.yaml_file import parse_yaml, read_yaml


class Recipe(BaseModel):
    """How a network is trained; the defaults are the original lab's Table 1.

    The loss is the cross-entropy of the two classes.

    Attributes:
        batch_size: cells a step.
        epochs: passes over the training plan.
        optimizer: stochastic gradient descent, the lab's, or AdamW (Loshchilov and Hutter 2019,
            arXiv:1711.05101).
        learning_rate: of every step, or the highest.
        schedule: ``constant``, the lab's, or ``cosine``: from the highest rate down to zero over
            the training (Loshchilov and Hutter 2017, arXiv:1608.03983).
        warmup: epochs in which the rate rises from zero.
        zero_init_residual: each residual block begins as its shortcut, a deep network as a shallow
            one, see `leukoscope.models.resnet.silence_branches`.
        momentum: of SGD; the lab names none, and torch's default is none.
        weight_decay: on the weights of convolutions and of the classifier; norms and biases are
            left out, which have nothing to decay to.
        label_smoothing: share of the target that goes to both classes alike.
        mixup: α of the Beta distribution from which the share of the other picture is drawn, where
            pictures of a batch are laid over each other (Zhang et al. 2018, arXiv:1710.09412).
        teacher: share of the target that a logistic regression on handmade features gives, see
            `leukoscope.training.teacher`.
        balance: how often cells are drawn: each once an epoch (``none``), or at random so that both
            classes come alike (``class``), and in each all people alike (``person``).
        averaging: decay of the exponential moving average of the weights, which is what is judged
            and kept; 0 keeps the weights themselves.
        keep: the epoch that is kept: the ``best`` by validation accuracy, or the ``last``.
        turns_averaged: whether a prediction is the mean over the eight exact turns of a picture.
        colour: the standard that pictures are brought to, see `leukoscope.cells.standard`.
        augmentation: how training pictures are changed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(default=16, ge=2)
    epochs: int = Field(default=40, ge=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: float = Field(default=0.0, ge=0)
    zero_init_residual: bool = False
    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    mixup: float = Field(default=0.0, ge=0)
    teacher: float = Field(default=0.0, ge=0, lt=1)
    balance: Balance = "none"
    averaging: float = Field(default=0.0, ge=0, lt=1)
    keep: Literal["best", "last"] = "best"
    turns_averaged: bool = False
    colour: Colour = "training"
    augmentation: Augmentation = Augmentation()

    def rate(self, epoch: float) -> float:
        """Return the learning rate after so many epochs, parts of one included."""
        rate = self.learning_rate
        if self.schedule == "cosine":
            rate *= (1 + math.cos(math.pi * min(epoch / self.epochs, 1))) / 2
        return rate * min(epoch / self.warmup, 1) if self.warmup else rate

    def decay(self, steps: int) -> float:
        """Return the decay of the average after so many steps.

        It rises to `averaging`, so that in a short training, too, the first weights are forgotten.
        """
        return min(self.averaging, (1 + steps) / (10 + steps))


RECIPES: dict[str, dict[str, Any]] = {
    "lab": {},
    # Few steps have to show something: a larger step, with momentum. For `make demo`.
    "demo": {"epochs": 5, "learning_rate": 0.003, "momentum": 0.9},
    # For people it never met; docs/recipes.md says what each part earns.
    "modern": {
        "batch_size": 32,
        "epochs": 30,
        "learning_rate": 0.02,
        "schedule": "cosine",
        "warmup": 1,
        "zero_init_residual": True,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "mixup": 0.4,
        "teacher": 0.5,
        "balance": "person",
        "averaging": 0.99,
        "keep": "last",
        "turns_averaged": True,
        "colour": "density",
        "augmentation": {"rotation": True, "shift": 0.05},
    },
}


def recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe `name`, or the one in the YAML file `name`, with fields overridden.

    Args:
        name: a key of `RECIPES`, or the path of a YAML file with fields of `Recipe` and
            optionally ``base: <name>`` for the others.
        overrides: ``field=value`` each, as YAML writes values; ``augmentation.scale=0.2`` for a
            field within one.

    Raises:
        BadInputError: no such recipe, unknown fields or values out of range; all are listed.
    """
    fields = _fields(name)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise BadInputError(f"{override!r} is not of the form field=value")
        *groups, field = key.strip().split(".")
        place = fields
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise BadInputError(f"{override!r}: {group} is no group of fields")
        place[field] = parse_yaml(value, repr(override))
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        known = ", ".join(Recipe.model_fields)
        raise BadInputError(
            f"recipe {name} cannot be used:{faults(error)}\nfields: {known}"
        ) from error


def _fields(name: str) -> dict[str, Any]:
    if name in RECIPES:
        return deepcopy(RECIPES[name])
    path = Path(name)
    if not path.is_file():
        raise BadInputError(
            f"no recipe {name!r}: it is neither one of {', '.join(RECIPES)} nor a YAML file"
        )
    fields = read_yaml(path)
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise BadInputError(f"{path}: a recipe is a table of fields, like `epochs: 40`")
    base = fields.pop("base", "lab")
    if not isinstance(base, str) or base not in RECIPES:
        raise BadInputError(f"{path}: base {base!r} is none of {', '.join(RECIPES)}")
    return _merged(deepcopy(RECIPES[base]), fields)


def _merged(base: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `fields` in place of its own; of a group, those that are given."""
    for name, value in fields.items():
        groups = isinstance(value, dict) and isinstance(base.get(name), dict)
        base[name] = _merged(base[name], value) if groups else value
    return base
