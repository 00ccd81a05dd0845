"""One phantom cell: a stained lymphoid cell as a bright-field microscope and a segmenter leave it.

The picture is made the way the real one is: stain lies in the cell at some density, light is
absorbed by it (Beer-Lambert), the objective blurs what is left, the sensor adds noise, and a
segmenter that is not quite right blackens everything else. A blast is larger than a normal cell,
has less cytoplasm, finer chromatin, more nucleoli and a less regular outline, but all of that
hangs on one hidden variable, the cell's immaturity, whose distributions overlap between the two
classes. How a subject's smear was stained, lit and focused does not depend on the class.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Field = NDArray[np.float32]
"""A quantity over a `Stage`: (points, points) as it is laid out, (side, side) as it is seen."""

FRAME = 450
"""Side of the picture in pixels, as in C-NMC 2019."""
PITCH = 3
"""Pixels between the points stain is laid out on: the optics leave little that is finer."""
MARGIN = 2
"""Points laid out beyond what is seen, on each side, so that a shifted colour has an edge."""

AZURE = (0.80, 0.56, 0.25)
"""Absorption (R, G, B) of azure and methylene blue: nuclei, and the cytoplasm of young cells."""
EOSIN = (0.08, 0.94, 0.42)
"""Absorption (R, G, B) of eosin Y, which absorbs green."""
RED_CELL = (0.27, 0.38, 0.50)
"""Optical density (R, G, B) of what the cell touches: eosin and hemoglobin of red cells."""
LIGHT = (142.0, 105.0, 145.0)
"""Intensity (R, G, B) where nothing absorbs, in grey levels: C-NMC pictures are dark."""
NUCLEAR_AZURE, NUCLEAR_EOSIN = 0.88, 1.00
"""Optical density of the two stains in a nucleus, before their absorption by colour."""
CYTOPLASM_AZURE, CYTOPLASM_EOSIN = 0.58, 0.42
"""The same in cytoplasm, which is bluer and paler."""

IMMATURITY = ((2.0, 6.0), (6.0, 2.0))
"""Beta parameters of immaturity in 0..1 for a normal cell and for a blast: they overlap."""
RADIUS = 84.0
"""Radius in pixels of the most mature cell; the real medians are 88 (normal) and 105 (blast)."""

TOUCHING = 0.02
"""Share of pictures that show two cells the segmenter did not part."""
CUT = 0.06
"""Share of pictures whose mask ends in a straight line across the cell."""
GRAIN, SENSOR_NOISE = 0.8, 0.45
"""SD of the noise that spans a few pixels (compression) and of each pixel's own, in grey levels."""

TURN = np.linspace(-math.pi, math.pi, 1024, endpoint=False)
"""The angles, in radians, at which an outline is drawn."""


@dataclass(frozen=True)
class SubjectStyle:
    """What one subject's smear and sitting at the microscope do to every cell, whatever its class.

    `light`, `azure`, `eosin` and `scale` are factors around 1; `focus` is the blur's sigma in
    pixels; `immaturity` is added to the immaturity of each cell.
    """

    light: tuple[float, float, float]
    azure: float
    eosin: float
    focus: float
    scale: float
    immaturity: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "SubjectStyle":
        """Draw a subject at random."""
        brightness = rng.normal(0, 0.05)
        red, green, blue = np.exp(brightness + rng.normal(0, 0.03, 3)).tolist()
        return cls(
            light=(red, green, blue),
            azure=float(np.exp(rng.normal(0, 0.085))),
            eosin=float(np.exp(rng.normal(0, 0.085))),
            focus=float(rng.uniform(1.4, 4.0)),
            scale=float(np.exp(rng.normal(0, 0.04))),
            immaturity=float(rng.normal(0, 0.05)),
        )


@dataclass(frozen=True)
class Morphology:
    """What one cell looks like; lengths in pixels unless they are relative to the radius."""

    radius: float
    """Of the circle with the cell's area."""
    elongation: float
    """Amplitude of the outline's second harmonic, relative to the radius."""
    roughness: float
    """Amplitude of the outline's bumps, relative to the radius."""
    flats: int
    """Sides pressed flat by neighbours."""
    rim: float
    """Mean width of the cytoplasm, relative to the radius."""
    clump: float
    """Size of a chromatin clump."""
    contrast: float
    """Share of the stain missing between clumps."""
    nucleoli: int
    folds: int
    """Grooves in the nucleus."""
    vacuoles: int
    density: float
    """Stain the cell took up, relative to its neighbours in the smear."""

    @classmethod
    def draw(cls, label: int, subject: SubjectStyle, rng: np.random.Generator) -> "Morphology":
        """Draw a normal cell (`label` 0) or a blast (1) of `subject`."""
        young = float(np.clip(rng.beta(*IMMATURITY[label]) + subject.immaturity, 0, 1))
        return cls(
            radius=RADIUS * subject.scale * float(np.exp(0.28 * young + rng.normal(0, 0.11))),
            elongation=abs(float(rng.normal(0, 0.09))),
            roughness=float(rng.uniform(0.010, 0.040) + 0.010 * young),
            flats=int(rng.poisson(0.9)),
            rim=float(rng.uniform(0.01, 0.10) * (1.6 - young)),
            clump=float((25 - 15 * young) * np.exp(rng.normal(0, 0.15))),
            contrast=float((0.29 - 0.17 * young) * np.exp(rng.normal(0, 0.2))),
            nucleoli=int(rng.poisson(2.4 * young**2)),
            folds=int(rng.poisson(0.05 + 0.35 * young)),
            vacuoles=int(rng.poisson(0.08)),
            density=float(np.exp(rng.normal(0, 0.045))),
        )


class Stage:
    """The middle of the frame, as far as a cell reaches, and the grid its stain is laid out on."""

    def __init__(self, reach: float) -> None:
        half = min(math.ceil(reach / PITCH), FRAME // (2 * PITCH))
        self.side = 2 * half * PITCH
        self.points = 2 * (half + MARGIN)
        place = (np.arange(self.points, dtype=np.float32) - (self.points - 1) / 2) * PITCH
        self.rows, self.columns = place[:, None], place[None, :]

    def noise(self, scale: float, rng: np.random.Generator) -> Field:
        """Return smooth noise: mean 0, SD about 1, blobs about `scale` pixels wide."""
        knots = math.ceil(self.points * PITCH / scale) + 1
        coarse = Image.fromarray(rng.standard_normal((knots, knots), np.float32) * 1.4)
        return np.asarray(coarse.resize((self.points, self.points), Image.Resampling.BICUBIC))

    def distance(self, point: NDArray[np.float64]) -> Field:
        """Return the pixels from `point`, (down, right) of the middle, to each grid point."""
        down, right = point.astype(np.float32)
        return np.asarray(np.hypot(self.rows - down, self.columns - right), np.float32)

    def magnify(self, field: Field, shift: NDArray[np.float64]) -> Field:
        """Return what is seen of `field`, a value a pixel, moved by `shift` grid points (x, y)."""
        left, top = MARGIN - shift
        box = (left, top, left + self.side // PITCH, top + self.side // PITCH)
        image = Image.fromarray(field)
        return np.asarray(image.resize((self.side, self.side), Image.Resampling.BILINEAR, box))


def render_cell(label: int, subject: SubjectStyle, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture, uint8 (450, 450, 3) RGB, of a normal cell (`label` 0) or a blast (1).

    Pixels outside the segmented cell are (0, 0, 0); inside it every channel is at least 1.
    """
    cell = Morphology.draw(label, subject, rng)
    if rng.random() < TOUCHING:
        stage = Stage(FRAME / 2)
        other = Morphology.draw(label, subject, rng)
        apart = 0.42 * (cell.radius + other.radius) * _direction(rng)
        pair = zip(_stain(cell, stage, apart, rng), _stain(other, stage, -apart, rng), strict=True)
        inside, azure, eosin = (np.maximum(one, two, dtype=np.float32) for one, two in pair)
    else:
        stage = Stage(1.4 * cell.radius + 20)
        inside, azure, eosin = _stain(cell, stage, np.zeros(2), rng)
    mask = _segment(inside, stage, cell.radius, rng)
    azure, eosin = azure * np.float32(subject.azure), eosin * np.float32(subject.eosin)
    channels = _expose(azure, eosin, inside, stage, subject, rng)
    picture = np.zeros((FRAME, FRAME, 3), np.uint8)
    edge = (FRAME - stage.side) // 2
    window = picture[edge : edge + stage.side, edge : edge + stage.side]
    for channel, light in enumerate(channels):
        seen = light[mask]
        seen += SENSOR_NOISE * rng.standard_normal(seen.size, np.float32)
        window[mask, channel] = np.clip(np.rint(seen), 1, 255)
    return picture


def _soft(inside: Field, width: float) -> Field:
    """Return 0 outside to 1 inside an edge `width` pixels wide."""
    return np.asarray(0.5 + 0.5 * np.tanh(inside / width), np.float32)


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random unit vector (down, right)."""
    turn = rng.uniform(-math.pi, math.pi)
    return np.array([math.sin(turn), math.cos(turn)])


def _outline(cell: Morphology, rng: np.random.Generator) -> Field:
    """Return the distance from middle to membrane at each of `TURN`, in pixels.

    Bumps fall off with their frequency and keep to a part of the outline; flat sides cut across.
    """
    order = np.arange(3, 28)[:, None]
    phase = rng.uniform(0, 2 * math.pi, order.shape)
    height = rng.normal(size=order.shape) / (order / 3)
    calm = 0.6 + 0.5 * np.cos(TURN - rng.uniform(-math.pi, math.pi))
    outline = 1 + cell.elongation * np.cos(2 * (TURN - rng.uniform(0, math.pi)))
    outline += cell.roughness * calm * (height * np.cos(order * TURN + phase)).sum(0)
    for _ in range(cell.flats):
        facing = np.cos(TURN - rng.uniform(-math.pi, math.pi))
        outline = np.minimum(outline, rng.uniform(0.78, 0.98) / np.maximum(facing, 0.1))
    outline = ndimage.gaussian_filter1d(outline, 18, mode="wrap")
    return np.asarray(cell.radius * outline / np.sqrt(np.mean(outline**2)), np.float32)


def _cytoplasm(cell: Morphology, rng: np.random.Generator) -> Field:
    """Return the width of the cytoplasm at each of `TURN`, in pixels: wider on one side."""
    side = np.cos(TURN - rng.uniform(-math.pi, math.pi))
    crescent = 1.6 * rng.random() * np.maximum(side, 0) ** 2
    return np.asarray(cell.radius * cell.rim * (0.65 + 0.3 * side + crescent), np.float32)


def _stain(
    cell: Morphology, stage: Stage, middle: NDArray[np.float64], rng: np.random.Generator
) -> tuple[Field, Field, Field]:
    """Return pixels inside the membrane (negative outside), azure and eosin."""
    down = stage.rows - np.float32(middle[0]) + 3 * stage.noise(70, rng)
    right = stage.columns - np.float32(middle[1]) + 3 * stage.noise(70, rng)
    turn = ((np.arctan2(down, right) / (2 * math.pi) + 0.5) * TURN.size).astype(int) % TURN.size
    inside = _outline(cell, rng)[turn] - np.hypot(down, right)
    within = inside - _cytoplasm(cell, rng)[turn] + 1.5 * stage.noise(30, rng)
    nucleus = _soft(within, 3)
    cytoplasm = _soft(inside, 2.5) * (1 - nucleus) * (1 + 0.1 * stage.noise(12, rng))
    chromatin = _chromatin(cell, stage, middle, within, rng)
    tint = 1 + 0.03 * stage.noise(110, rng) + 0.015 * stage.noise(40, rng)
    azure = NUCLEAR_AZURE * nucleus * chromatin * tint + CYTOPLASM_AZURE * cytoplasm
    # Chromatin binds azure above all: where it is thin the nucleus turns pink.
    pink = NUCLEAR_EOSIN * nucleus * (0.45 + 0.55 * chromatin) / tint
    eosin = pink + CYTOPLASM_EOSIN * cytoplasm
    taken = np.full_like(azure, cell.density)
    for _ in range(cell.vacuoles):
        taken -= 0.45 * _spot(cell, stage, middle, (3, 6), rng)
    fields = (inside, azure * taken, eosin * taken)
    return tuple(np.asarray(field, np.float32) for field in fields)  # type: ignore[return-value]


def _chromatin(
    cell: Morphology,
    stage: Stage,
    middle: NDArray[np.float64],
    within: Field,
    rng: np.random.Generator,
) -> Field:
    """Return chromatin's relative density: clumps, pale gaps and nucleoli, grooves, a dense margin.

    `within` is pixels inside the nucleus.
    """
    clumps = 0.75 * stage.noise(cell.clump, rng) + 0.45 * stage.noise(cell.clump / 2, rng)
    gaps = np.logaddexp(0, 2 * clumps) / 2  # few pale gaps between many dark clumps
    margin = np.exp(-np.square((within - 9) / 9))
    density = 1.10 - cell.contrast * gaps + 0.09 * margin + 0.08 * stage.noise(90, rng)
    for _ in range(cell.nucleoli):
        density -= rng.uniform(0.10, 0.30) * _spot(cell, stage, middle, (9, 17), rng)
    for _ in range(cell.folds):
        # A groove is an arc: what lies near its start of a circle that passes through it.
        bend, start = rng.uniform(0.7, 1.6) * cell.radius, middle + cell.radius * _direction(rng)
        off = stage.distance(start + bend * _direction(rng)) - bend
        near = _soft(rng.uniform(0.4, 1.0) * cell.radius - stage.distance(start), 8)
        density -= rng.uniform(0.08, 0.24) * near * np.exp(-np.square(off / 5))
    return np.asarray(density, np.float32)


def _spot(
    cell: Morphology,
    stage: Stage,
    middle: NDArray[np.float64],
    sizes: tuple[float, float],
    rng: np.random.Generator,
) -> Field:
    """Return a soft round spot, 0 to 1, somewhere in `cell`, of radius in `sizes` pixels."""
    place = middle + 0.7 * cell.radius * math.sqrt(rng.random()) * _direction(rng)
    away = stage.distance(place) / rng.uniform(*sizes)
    return np.asarray(np.exp(-np.square(np.square(away))), np.float32)


def _segment(
    inside: Field, stage: Stage, radius: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return the segmenter's mask, bool (side, side): the cell, but for leaks, bites and cuts."""
    drawn = inside + 0.6 * stage.noise(12, rng) + 0.3 * stage.noise(5, rng)
    for _ in range(rng.poisson(0.5)):
        near = np.exp(-np.square(stage.distance((radius + 4) * _direction(rng)) / (0.35 * radius)))
        drawn += near * np.maximum(17 * stage.noise(28, rng) + 8 * stage.noise(12, rng), -12)
    mask = stage.magnify(drawn, np.zeros(2)) > 0
    if rng.random() < CUT:
        mask = np.rot90(mask, int(rng.integers(4)))
        mask[int(stage.side / 2 + radius * rng.uniform(0.75, 0.95)) :] = False
    pieces, _ = ndimage.label(mask)
    return np.asarray(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)


def _expose(
    azure: Field,
    eosin: Field,
    inside: Field,
    stage: Stage,
    subject: SubjectStyle,
    rng: np.random.Generator,
) -> Iterator[Field]:
    """Yield red, green and blue of the light past the stain: grey levels, float32 (side, side).

    The objective brings red and blue down a little apart (lateral chromatic aberration): that is
    why cells have a bluish and a reddish side.
    """
    around = (1 - _soft(inside, 3)) * np.clip(1 + 0.25 * stage.noise(60, rng), 0, None)
    fringe = rng.uniform(-0.8, 0.8, 2)
    for channel in range(3):
        density = AZURE[channel] * azure + EOSIN[channel] * eosin + RED_CELL[channel] * around
        passed = LIGHT[channel] * subject.light[channel] * np.exp(-density)
        blurred = ndimage.gaussian_filter(passed, subject.focus / PITCH, truncate=3)
        blurred += GRAIN * rng.standard_normal(blurred.shape, np.float32)
        yield stage.magnify(blurred, (channel - 1) * fringe)
