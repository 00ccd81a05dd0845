"""Fingerprints: what an audit keeps of each picture, which is decoded once.

A fingerprint is a thumbnail of a window around the middle of the cell's core, cut at the picture's
own resolution, so that a cell moved inside its frame keeps its thumbnail; a digest of the decoded
pixels; and what the cell's outline tells.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from leukoscope.cells.mask import GREY, depth, mask
from leukoscope.cells.parallel import each
from leukoscope.cells.pictures import read_picture
from leukoscope.cells.preprocess import cell_box
from leukoscope.cores import cores

SIDE = 64
"""Side of a thumbnail; of a 450 px frame it shows the middle 384 px, each pixel 6 × 6 of them."""
FRAME = 75
"""Thumbnail pixels a frame's longer side is worth: 450 px are reduced by 6, 224 px by 3."""

RIM = 4
"""Thumbnail pixels at the edge of a cell that say little of it: a bright rim looks alike in all."""
CORE = 0.6
"""What is narrower than this share of the cell's largest inscribed circle is not in its core."""
SECOND, NECK, PALE = 0.5, 0.8, 1.1
"""A second cell holds a circle of at least `SECOND` of the first one's radius; what joins them is
narrower than `NECK` of that circle; and it is stained: not over `PALE` times as bright, as debris
and red cells are."""
SLACK = 2.0
"""Pixels by which a way from pixel to pixel may be less deep than the straight line."""
NEAR = ndimage.generate_binary_structure(2, 1)
"""A pixel and its four neighbours."""

Depth = NDArray[np.float64]


class Look(NamedTuple):
    """What is seen of a picture.

    Attributes:
        window: the square around the cell's core that a thumbnail shows, at full resolution.
        frame: the whole picture reduced to about `FRAME` pixels, (H, W, 3) uint8.
        depth: (H, W), of the cell in that frame: distance from the outside, 0 there.
    """

    window: Image.Image
    frame: NDArray[np.uint8]
    depth: Depth


@dataclass(frozen=True)
class Fingerprints:
    """What was kept of N pictures, in their order.

    Attributes:
        paths: of the pictures.
        thumbnails: (N, SIDE, SIDE, 3) uint8, the middle of the cell's core at its centre.
        facts: N rows; ``digest`` of size and decoded pixels; ``side``, the longer one of the cell's
            box; ``empty``, ``clipped`` (the box touches the frame's border), ``several`` (two or
            more cells, apart or touching).
    """

    paths: list[str]
    thumbnails: NDArray[np.uint8]
    facts: pd.DataFrame


def read_fingerprints(paths: Sequence[str]) -> Fingerprints:
    """Decode each picture of `paths` once, on all cores, and keep its fingerprint.

    Raises:
        BadInputError: pictures are missing or cannot be decoded; all are listed.
    """
    thumbnails = np.empty((len(paths), SIDE, SIDE, 3), np.uint8)
    facts = []
    found = each(fingerprint, [Path(path) for path in paths], "looking for repeated cells")
    for row, (thumbnail, fact) in enumerate(found):
        thumbnails[row] = thumbnail
        facts.append(fact)
    columns = ["digest", "side", "empty", "clipped", "several"]
    return Fingerprints(list(paths), thumbnails, pd.DataFrame(facts, columns=columns))


def fingerprint(path: Path) -> tuple[NDArray[np.uint8], tuple[str, int, bool, bool, bool]]:
    """Return the thumbnail and the facts of the picture at `path`, as in `Fingerprints`."""
    picture = read_picture(path)
    digest = hashlib.sha256(picture.tobytes())
    digest.update(repr(picture.size).encode())
    box = cell_box(picture)
    left, upper, right, lower = box or (0, 0, *picture.size)
    touching = left == 0 or upper == 0 or right == picture.width or lower == picture.height
    seen = look(picture)
    thumbnail = seen.window.reduce(seen.window.width // SIDE)
    return np.asarray(thumbnail), (
        digest.hexdigest(),
        max(right - left, lower - upper),
        not seen.depth.any(),
        box is not None and touching,
        _several(seen.frame, seen.depth),
    )


def look(picture: Image.Image) -> Look:
    """Find the cell in an RGB `picture`."""
    factor = max(1, round(max(picture.size) / FRAME))
    frame = np.asarray(picture.reduce(factor))
    deep = depth(mask(frame))
    middle = ndimage.center_of_mass(_core(deep)) if deep.any() else np.array(deep.shape) / 2
    side = SIDE * factor
    upper, left = (round((at + 0.5) * factor) - side // 2 for at in middle)
    return Look(picture.crop((left, upper, left + side, upper + side)), frame, deep)


def insides_of(thumbnails: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (N, SIDE, SIDE): where each cell's core is, without its rim."""

    def inside(thumbnail: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return np.asarray(depth(_core(depth(mask(thumbnail)))) > RIM)

    with ThreadPoolExecutor(cores()) as pool:
        return np.array(list(pool.map(inside, thumbnails)), bool).reshape(thumbnails.shape[:3])


def _core(deep: Depth) -> NDArray[np.bool_]:
    """Return where the cell is without what hangs on it: debris, tails, a smaller neighbour.

    It is opened (eroded, then dilated) by a disc of `CORE` of its largest inscribed circle. The
    core of a cell stays where it is, whatever the segmenter took along with it.
    """
    radius = CORE * deep.max()
    pieces, _ = ndimage.label(deep > radius)
    largest = pieces == pieces[np.unravel_index(deep.argmax(), deep.shape)]
    return np.asarray((ndimage.distance_transform_edt(~largest) <= radius) & (deep > 0))


def _several(frame: NDArray[np.uint8], deep: Depth) -> bool:
    """Tell whether the reduced picture `frame`, `deep` inside its mask, holds two or more cells.

    The mask is eroded further and further: where it parts, each part is looked at.
    """
    # A part's largest inscribed circle is around a summit of the depth. Of two circles of the radii
    # r and R, d apart, the mask between is at least (r + R - d) / 2 deep. So a second cell, behind
    # a neck, lies further off than R + r - 2 NECK r: most pictures end here.
    deepest = deep.max()
    summits = (deep >= SECOND * deepest) & (deep == ndimage.maximum_filter(deep, footprint=NEAR))
    down, right = np.nonzero(summits)
    radii = deep[summits]
    first = radii.argmax()
    apart = np.hypot(down - down[first], right - right[first])
    if not (apart > deepest + (1 - 2 * NECK) * radii - SLACK).any():
        return False

    grey = frame @ GREY

    def brightness(parts: NDArray[np.integer], part: np.integer) -> float:
        return float(grey[parts == part + 1].mean())

    for level in np.arange(0, NECK, 0.05):
        parts, count = ndimage.label(deep > level * deepest, NEAR)
        if count < 2:
            continue
        radii = np.asarray(ndimage.maximum(deep, parts, range(1, count + 1))) / deepest
        first = radii.argmax()
        for part in np.flatnonzero((radii >= SECOND) & (level < NECK * radii)):
            if part != first and brightness(parts, part) <= PALE * brightness(parts, first):
                return True
    return False
