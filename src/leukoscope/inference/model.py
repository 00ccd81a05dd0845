"""A model: a bundle, loaded, that calls pictures in the order they come.

Each core decodes a chunk of pictures and computes it by itself, so that reading and arithmetic
overlap and no core waits for another.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from leukoscope.cells.manifest import CLASSES
from leukoscope.cells.outline import outline
from leukoscope.cells.parallel import in_order
from leukoscope.cells.pictures import Deferred, Upload, read_picture
from leukoscope.cells.preprocess import preprocess
from leukoscope.cores import cores
from leukoscope.errors import BadInputError, listing
from leukoscope.evaluation.calibration import probability
from leukoscope.inference.bundle import LIKENESS, Bundle
from leukoscope.inference.calls import REVIEW
from leukoscope.inference.engines import Engine, EngineName, IntegerEngine, fastest, open_engine
from leukoscope.inference.flags import square_of
from leukoscope.inference.inputs import as_text
from leukoscope.inference.likeness import Likeness
from leukoscope.progress import Bar

CHUNK = 32
"""Pictures that a core computes at once, all turns of a cell among them."""

Picture = Path | str | Upload | Deferred | Image.Image | NDArray[np.uint8]
"""A file, or a picture: of PIL, or (H, W, 3) uint8 in red, green, blue."""

SEPARATOR = "; "
"""Between the flags of a picture."""

Floats = NDArray[np.float64]


class Model:
    """Calls pictures; `predict_proba` and `classes_` are as those of scikit-learn's classifiers.

    Attributes:
        bundle: what is loaded.
        engine: that computes.
        classes_: 0 a normal cell, 1 a blast: the columns of `predict_proba`.

    Args:
        bundle: whose model calls.
        engine: of the bundle; None: the fastest here, measured the first time.
        threads: of the CPU; None: all cores.

    Raises:
        BadInputError: the bundle has no such engine, or is damaged.
    """

    classes_ = np.array(list(CLASSES))

    def __init__(
        self, bundle: Bundle, engine: EngineName | None = None, threads: int | None = None
    ) -> None:
        self.bundle, self.threads = bundle, threads or cores()
        self.engine = engine or fastest(bundle, self.threads)
        self._opened: dict[int, Engine] = {}
        self._open(self.threads)
        self.likeness = Likeness.read(bundle.file(LIKENESS))
        checked = "fp32" if self.engine == "torch" else self.engine
        self.farthest = bundle.info.checks[checked].farthest

    def predict(
        self,
        pictures: Sequence[Picture],
        subjects: Sequence[str | None] | None = None,
        coverage: float | None = None,
    ) -> pd.DataFrame:
        """Return the table of calls of `pictures`, in their order; see `inference.calls`.

        Args:
            pictures: any number of them; one that cannot be read has a row that says why.
            subjects: whose cells they are; None: unknown.
            coverage: the share of a new person's cells of each class whose set of classes is to
                hold the true one, see `leukoscope.evaluation.review`; None: the bundle's own.

        Raises:
            BadInputError: the bundle cannot promise the coverage, or `pictures` is a single one, or
                there are more or fewer `subjects`.
        """
        _refuse_single(pictures)
        subjects = [None] * len(pictures) if subjects is None else list(subjects)
        if len(subjects) != len(pictures):
            raise BadInputError(f"{len(subjects)} subjects of {len(pictures)} pictures")
        info = self.bundle.info
        coverage = info.review.coverage(coverage)
        log_odds, reasons, flags = self._computed(pictures)
        blast = probability(log_odds, info.temperature, info.prior)
        certainty = info.review.certainty(blast)
        likelier = np.where(blast >= info.points[0].threshold, CLASSES[1], CLASSES[0])
        calls = pd.Series(likelier, dtype="string").mask(certainty < coverage, REVIEW)
        return pd.DataFrame(
            {
                "path": pd.array([_shown(picture) for picture in pictures], dtype="string"),
                "subject": pd.array(subjects, dtype="string"),
                "probability": blast,
                "call": calls.mask(np.isnan(log_odds)),
                "certainty": certainty,
                "flags": pd.array([flag or None for flag in flags], dtype="string"),
                "reason": pd.array([reason or None for reason in reasons], dtype="string"),
            }
        )

    def predict_proba(self, pictures: Sequence[Picture]) -> Floats:
        """Return the probability of a normal cell and of a blast, (N, 2), calibrated.

        Raises:
            BadInputError: pictures cannot be read, all are listed; or `pictures` is a single one.
        """
        _refuse_single(pictures)
        log_odds, reasons, _ = self._computed(pictures)
        if failed := [reason for reason in reasons if reason]:
            raise BadInputError(f"{len(failed):,} pictures cannot be read:{listing(failed)}")
        blast = probability(log_odds, self.bundle.info.temperature, self.bundle.info.prior)
        return np.column_stack([1 - blast, blast])

    def _computed(self, pictures: Sequence[Picture]) -> tuple[Floats, list[str], list[str]]:
        """Return the log-odds of each picture, NaN where there are none, why, and its flags."""
        size = max(1, CHUNK // self.bundle.info.turns)
        chunks = [pictures[start : start + size] for start in range(0, len(pictures), size)]
        # A single chunk has all cores; several share them.
        workers = min(self.threads, len(chunks)) or 1
        engine = self._open(self.threads // workers)
        told, reasons, flags = [np.empty(0)], [], []
        with Bar("calling cells", len(pictures), "cells") as bar:
            computed = in_order(lambda chunk: self._chunk(chunk, engine), chunks, workers, ahead=2)
            for log_odds, why, raised in computed:
                told.append(log_odds)
                reasons += why
                flags += raised
                bar.advance(len(why))
        return np.concatenate(told), reasons, flags

    def _chunk(
        self, pictures: Sequence[Picture], engine: Engine
    ) -> tuple[Floats, list[str], list[str]]:
        info, count = self.bundle.info, len(pictures)
        log_odds, reasons, flags = np.full(count, np.nan), [""] * count, [""] * count
        pixels, looks, places = [], [], []
        for place, picture in enumerate(pictures):
            try:
                opened = _opened(picture)
                pixels.append(preprocess(opened, info.preprocessing))
                looks.append((outline(opened), square_of(opened.size, info.preprocessing)))
                places.append(place)
            except BadInputError as error:
                reasons[place] = str(error)
        if pixels:
            told = engine(np.stack(pixels))
            log_odds[places] = told.log_odds
            distances = self.likeness.distance(told.features)
            for place, seen, cut, distance in zip(places, looks, pixels, distances, strict=True):
                raised = info.limits.flags(*seen, cut, distance, self.farthest)
                flags[place] = SEPARATOR.join(raised)
        return log_odds, reasons, flags

    def load(self) -> None:
        """Load what else its calls may need: by as many threads it takes no file any more."""
        engine = self._open(self.threads)
        if isinstance(engine, IntegerEngine):
            engine.opened()

    def _open(self, threads: int) -> Engine:
        """Return the engine whose calls share so many threads, opened once."""
        if threads not in self._opened:
            self._opened[threads] = open_engine(self.bundle, self.engine, threads)
        return self._opened[threads]


def _refuse_single(pictures: object) -> None:
    array = isinstance(pictures, np.ndarray) and pictures.ndim == 3
    if array or isinstance(pictures, str | Path | Upload | Deferred | Image.Image):
        raise BadInputError("pictures are a list: of a single one, [picture]")


def _opened(picture: Picture) -> Image.Image:
    """Return `picture` in RGB.

    Raises:
        BadInputError: it is a file that cannot be read, or an array of another form.
    """
    if isinstance(picture, str | Path | Upload | Deferred):
        return read_picture(Path(picture) if isinstance(picture, str) else picture)
    if isinstance(picture, Image.Image):
        try:
            return picture.convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise BadInputError(f"a picture cannot be decoded ({error})") from error
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise BadInputError(
            f"an array of {picture.dtype} and shape {picture.shape} is no picture: uint8 of shape "
            "(height, width, 3) is one"
        )
    return Image.fromarray(picture)


def _shown(picture: Picture) -> str | None:
    """Return a file's path as text, whatever bytes its name has; None of what is no file."""
    if isinstance(picture, Upload | Deferred):
        return picture.name
    return as_text(picture) if isinstance(picture, str | Path) else None
