"""Recipes: everything that decides how a network is trained, by name or by YAML."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leukoscope.errors import BadInputError, listing


class Recipe(BaseModel):
    """How a network is trained; the defaults are the original lab's Table 1.

    The loss is the cross-entropy of the two classes, the learning rate is constant.

    Attributes:
        batch_size: cells a step.
        epochs: passes over the training plan.
        optimizer: stochastic gradient descent, the lab's.
        learning_rate: of every step.
        momentum: the lab names none, and torch's default is none.
        weight_decay: L2 penalty on every weight.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(default=16, ge=2)
    epochs: int = Field(default=40, ge=1)
    optimizer: Literal["sgd"] = "sgd"
    learning_rate: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)


RECIPES: dict[str, dict[str, Any]] = {
    "lab": {},
    # Few steps have to show something: a larger step, with momentum. For `make demo`.
    "demo": {"epochs": 5, "learning_rate": 0.003, "momentum": 0.9},
}


def recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe `name`, or the one in the YAML file `name`, with fields overridden.

    Args:
        name: a key of `RECIPES`, or the path of a YAML file with fields of `Recipe` and
            optionally ``base: <name>`` for the others.
        overrides: ``field=value`` each, as YAML writes values.

    Raises:
        BadInputError: no such recipe, unknown fields or values out of range; all are listed.
    """
    fields = _fields(name)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise BadInputError(f"{override!r} is not of the form field=value")
        fields[key.strip()] = yaml.safe_load(value)
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            + (f" (got {item['input']!r})" if item["type"] != "extra_forbidden" else "")
            for item in error.errors()
        ]
        known = ", ".join(Recipe.model_fields)
        raise BadInputError(
            f"recipe {name} cannot be used:{listing(problems)}\nfields: {known}"
        ) from error


def _fields(name: str) -> dict[str, Any]:
    if name in RECIPES:
        return dict(RECIPES[name])
    path = Path(name)
    if not path.is_file():
        raise BadInputError(
            f"no recipe {name!r}: it is neither one of {', '.join(RECIPES)} nor a YAML file"
        )
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BadInputError(f"{path}: no YAML ({error})") from error
    if not isinstance(fields, dict):
        raise BadInputError(f"{path}: a recipe is a table of fields, like `epochs: 40`")
    base = fields.pop("base", "lab")
    if base not in RECIPES:
        raise BadInputError(f"{path}: base {base!r} is none of {', '.join(RECIPES)}")
    return {**RECIPES[base], **fields}
