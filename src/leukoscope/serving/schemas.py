"""What goes over the wire; the page and other programs read it alike."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from leukoscope.evaluation.point import OperatingPoint

CallName = Literal["blast", "normal", "review"]


class Message(BaseModel):
    """What all messages share."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Call(Message):
    """One picture, as in a row of `leukoscope predict`'s table."""

    path: str = Field(description="The name that the file was sent under.")
    subject: str | None = Field(description="By C-NMC's UID names.")
    probability: float | None = Field(description="Of a blast, calibrated; null: no picture.")
    call: CallName | None
    certainty: float | None = Field(
        description="The coverage from which on the cell would be left to a person."
    )
    flags: str | None = Field(description="Why it may be no cell like those that the model knows.")
    reason: str | None = Field(description="Why there is no call.")


class Calls(Message):
    """The calls of a request's files, in their order."""

    bundle: str = Field(description="SHA-256 of the bundle's description.")
    engine: str
    coverage: float = Field(description="What the calls keep for a new person's cells; 0: nothing.")
    calls: list[Call]


class Neighbour(Message):
    """A training cell."""

    id: str
    subject: str | None
    label: int = Field(description="0 a normal cell, 1 a blast.")
    distance: float = Field(description="In standard deviations of the training cells.")


class Layer(Message):
    """A map of what speaks for the call."""

    name: str
    most: float = Field(description="Its largest value, in log-odds.")
    png: str = Field(description="Transparent picture to lie over `seen`, base64.")


class Explained(Message):
    """What in a picture speaks for its call; see `leukoscope explain`."""

    call: Call
    seen: str = Field(description="PNG of what the networks see, base64.")
    layers: list[Layer]
    nearest: list[Neighbour]


class ModelInfo(Message):
    """The model that calls."""

    name: str
    bundle: str
    engine: str
    made_by: str
    networks: list[str] = Field(description="Architectures; several: their log-odds are averaged.")
    phantom: bool = Field(description="Trained on rendered cells: says nothing about patients.")
    window: int | None = Field(description="Side of the square cut out of a picture, in pixels.")
    coverage: float = Field(description="Of calls, unless a request asks for another.")
    most_coverage: float = Field(description="That there are people enough to promise.")
    people: tuple[int, int] = Field(
        description="With normal cells and with blasts, of whom points and coverage come."
    )
    points: list[OperatingPoint] = Field(description="The first is where calls are made.")
    curve: list[OperatingPoint]
    explains: bool = Field(description="Whether /v1/explain works here: it needs PyTorch.")
    card: str | None = Field(description="The model card, Markdown.")


class Cell(Message):
    """One called cell of a subject."""

    subject: str | None
    probability: float | None = Field(ge=0, le=1)
    call: CallName | None


class Worklist(Message):
    """Called cells that are to be counted by subject."""

    threshold: float = Field(description="Of one of the model's points, or of its curve.")
    cells: list[Cell] = Field(max_length=200_000)


class SubjectRow(Message):
    """A row of `leukoscope predict --subject-summary`'s table."""

    subject: str
    cells: int
    unread: int
    review: int
    likelier_blast: int
    blast_share: float | None
    blast_share_low: float | None
    blast_share_high: float | None


class Problem(Message):
    """Why a request has no answer."""

    detail: str
