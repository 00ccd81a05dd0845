"""Candidates: the recipes that `study recipe` holds against each other, from a YAML file.

    folds: [0, 1]           # which parts of the people test; all unless given
    candidates:
      lab: {recipe: lab}
      wider:
        recipe: modern
        set: {epochs: 20, augmentation.scale: 0.3}
        model_options: {stem: small}
        store: store96      # another store of the same cells

The first is the one that the others are held against.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from leukoscope.errors import BadInputError, faults
from leukoscope.yaml_file import read_yaml


class Candidate(BaseModel):
    """One way to train.

    Attributes:
        recipe, overrides (``set`` in the file): as for `leukoscope.training.recipe.recipe`; the
            recipe is the study's unless given.
        model_options: of the study's model.
        store: None: the study's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    recipe: str | None = None
    overrides: Mapping[str, Any] = Field(default={}, alias="set")
    model_options: Mapping[str, Any] = {}
    store: Path | None = None

    @property
    def told(self) -> list[str]:
        """The overrides as the command line has them."""
        return [f"{field}={value}" for field, value in self.overrides.items()]


class Candidates(BaseModel):
    """A file of candidates.

    Attributes:
        folds: parts of the people that test, one after the other; None: all.
        shifted: whether each also trains on fold 0's people alone and tests on the others.
        candidates: by name; the first is the reference.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folds: tuple[NonNegativeInt, ...] | None = None
    shifted: bool = True
    candidates: dict[str, Candidate] = Field(min_length=2)

    @classmethod
    def read(cls, path: Path) -> "Candidates":
        """Read `path`.

        Raises:
            BadInputError: it is missing, no YAML, or holds something else; all mistakes are listed.
        """
        try:
            return cls.model_validate(read_yaml(path))
        except ValidationError as error:
            raise BadInputError(f"{path} is no list of candidates:{faults(error)}") from error
