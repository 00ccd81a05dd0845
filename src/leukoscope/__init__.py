"""leukoscope: tells leukemia blasts from normal cells in single-cell microscope images.

Research use only; not a medical device.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leukoscope.inference.engines import EngineName
    from leukoscope.inference.model import Model

__version__ = "0.1.0"


def load(
    bundle: Path | str, engine: "EngineName | None" = None, threads: int | None = None
) -> "Model":
    """Return the model of the folder `bundle`, made by ``leukoscope export``.

    Args:
        bundle: its folder.
        engine: ``int8``, ``fp32`` or ``torch``; None: the fastest here, measured the first time.
        threads: of the CPU; None: all cores.

    Raises:
        BadInputError: there is no bundle, it is damaged, or it has no such engine.
    """
    from leukoscope.inference.bundle import Bundle
    from leukoscope.inference.model import Model

    return Model(Bundle.open(Path(bundle)), engine, threads)
