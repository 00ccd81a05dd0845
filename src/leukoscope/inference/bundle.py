"""The bundle: what leaves the training machine, a folder that calls cells without torch.

- ``weights.safetensors``: of every network, named ``<number>.<name in the network>``,
- ``fp32.onnx`` and, where it says the same, ``int8.onnx``: graphs from pixels to log-odds,
- ``likeness.safetensors``: what tells how far cells lie from the first network's training cells,
- ``known.parquet``: those cells, a row each: id, subject, label,
- ``MODEL_CARD.md``, of a single run,
- ``bundle.json``: everything else. Written last: a folder without it is no bundle.

Nothing in it is a pickle, and no file is used before its digest is seen to be right.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leukoscope import __version__
from leukoscope.cells.colour import Colour
from leukoscope.cells.preprocess import Preprocessing
from leukoscope.errors import BadInputError, faults
from leukoscope.evaluation.point import OperatingPoint
from leukoscope.evaluation.review import Review
from leukoscope.files import sha256, write_text
from leukoscope.inference.flags import Limits

WEIGHTS = "weights.safetensors"
LIKENESS = "likeness.safetensors"
KNOWN = "known.parquet"
CARD = "MODEL_CARD.md"
INFO = "bundle.json"

Three = tuple[float, float, float]
"""Red, green, blue."""


class Part(BaseModel):
    """What the parts of ``bundle.json`` share."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(Part):
    """One network, and what it sees of stored pixels.

    Attributes:
        model, options: as for `leukoscope.models.create`.
        colour, mean, mixing: of `leukoscope.cells.standard.Standard`.
    """

    model: str
    options: dict[str, Any]
    colour: Colour
    mean: Three
    mixing: list[Three] = Field(min_length=3, max_length=3)


class Check(Part):
    """How a graph was held against the networks it was made of.

    Attributes:
        cells: how many, of a validation split; other networks of an ensemble trained on them.
        largest_difference: in log-odds.
        agreement: share of the cells that both call alike, at 0.5.
        auroc_change: the graph's less the networks'.
        farthest: the limit of a cell's distance from the training cells by this graph's features.
        beyond: share of the cells that lie beyond the ranges of its integers, or too near to 0.5
            for them, and that ``fp32.onnx`` computes instead.
        refused: why the graph is not in the bundle; empty: it is.
    """

    cells: int
    largest_difference: float
    agreement: float
    auroc_change: float
    farthest: float
    beyond: float = 0.0
    refused: str = ""


class BundleInfo(Part):
    """What ``bundle.json`` says.

    Attributes:
        name: of the run or ensemble that was exported.
        networks: whose log-odds are averaged.
        turns: how many turns of a picture are averaged.
        preprocessing: from a picture to pixels.
        temperature: that softens the log-odds.
        prior: log-odds that are then added, which training on classes drawn alike left out.
        points: operating points, 0.5 first.
        curve: what other thresholds do, see `leukoscope.evaluation.operating.curve`.
        review: which calls are left to a person.
        limits: what flags are raised by.
        checks: of each graph, by its engine's name.
        phantom: whether it was trained on rendered cells.
        digests: SHA-256 of each other file.
    """

    version: Literal[1] = 1
    made_by: str = f"leukoscope {__version__}"
    name: str
    networks: list[Network] = Field(min_length=1)
    turns: int = Field(ge=1, le=8)
    preprocessing: Preprocessing
    temperature: float = Field(gt=0)
    prior: float
    points: list[OperatingPoint] = Field(min_length=1)
    curve: list[OperatingPoint]
    review: Review
    limits: Limits
    checks: dict[str, Check]
    phantom: bool
    digests: dict[str, str]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle."""

    folder: Path
    info: BundleInfo

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Open the bundle in `folder`.

        Raises:
            BadInputError: there is none, or its description is damaged or of another version.
        """
        path = folder / INFO
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(
                f"{folder} is no bundle: {INFO} cannot be read ({error}); make one with "
                "`leukoscope export`"
            ) from error
        try:
            return cls(folder, BundleInfo.model_validate_json(text))
        except ValidationError as error:
            raise BadInputError(f"{path}: not what this version reads:{faults(error)}") from error

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Tell whether `folder` holds a bundle."""
        return (folder / INFO).exists()

    def file(self, name: str) -> Path:
        """Return where a file of the bundle lies, once its digest is seen to be right.

        Raises:
            BadInputError: it is missing, or not the file that was exported.
        """
        path = self.folder / name
        try:
            found = sha256(path)
        except OSError as error:
            raise BadInputError(f"{path}: cannot be read ({error.strerror})") from error
        if found != self.info.digests.get(name):
            raise BadInputError(f"{path} is damaged, or of another bundle: export it again")
        return path

    @cached_property
    def digest(self) -> str:
        """What tells this bundle from any other: the SHA-256 of its ``bundle.json``."""
        return sha256(self.folder / INFO)

    def write(self) -> "Bundle":
        """Write ``bundle.json``; return the bundle."""
        write_text(self.folder / INFO, self.info.model_dump_json(indent=2) + "\n")
        return self
