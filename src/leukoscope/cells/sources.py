"""Where cells come from: folders and tables in every known layout become rows of a manifest.

The class, subject, image and cell are in the file name; folders and tables can be wrong, and a
cell about which they disagree with the name is rejected. Nothing disappears: every picture below
a folder and every row of a table ends up in `Reading.cells` or in `Reading.rejected`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from leukoscope.cells import folders, manifest, pictures, tables
from leukoscope.cells.row import Row
from leukoscope.errors import BadInputError, listing
from leukoscope.spreadsheet import write_csv


@dataclass(frozen=True)
class Reading:
    """What sources hold: `found` cells in, as many out in `cells` and `rejected` together.

    `cells` is a manifest; `rejected` has the columns source, row, id, path and reason. `layouts`
    counts the found cells by (source, layout), `sizes` the good ones by picture size, and
    `passed_over` the files below the folders that are no pictures, by suffix.
    """

    cells: pd.DataFrame
    rejected: pd.DataFrame
    found: int
    layouts: Counter[tuple[str, str]]
    sizes: Counter[pictures.Size]
    passed_over: Counter[str]

    def __post_init__(self) -> None:
        if self.found != len(self.cells) + len(self.rejected):
            raise RuntimeError(
                f"cells were lost: {self.found} in, "
                f"{len(self.cells)} out and {len(self.rejected)} rejected"
            )

    def settle(self, rejected_csv: Path | None = None, advice: str = "") -> None:
        """Raise BadInputError, which lists the rows, when any cell is rejected.

        With `rejected_csv` they are written there instead (the header alone when there are none,
        so that no older list is mistaken for this one), and only a reading that leaves no cell
        at all is an error. It says `advice` before the rows.
        """
        if rejected_csv is not None:
            write_csv(self.rejected, rejected_csv)
        if self.rejected.empty or (rejected_csv is not None and not self.cells.empty):
            return
        lines = [
            ": ".join(part for part in (f"{source} row {row}", name, reason) if part)
            for source, row, name, _, reason in self.rejected.itertuples(index=False, name=None)
        ]
        raise BadInputError(
            f"{len(self.rejected):,} of {self.found:,} cells cannot be used{advice}{listing(lines)}"
        )

    def summary(self) -> str:
        """Plain text: what was read, the manifest's own summary, and the picture sizes."""
        lines = [
            f"{source}: {layout}, {number:,} cells"
            for (source, layout), number in self.layouts.items()
        ]
        lines.append(
            f"{self.found:,} cells in = {len(self.cells):,} out + {len(self.rejected):,} rejected"
        )
        if self.passed_over:
            lines.append(f"passed over, no pictures: {_most_common(self.passed_over)}")
        sizes = Counter({f"{w}×{h}": number for (w, h), number in self.sizes.items()})
        lines.append(f"image sizes: {_most_common(sizes) or 'none'}")
        return "\n".join([*lines, "", manifest.summary(self.cells)])


def _most_common(counts: Counter[str], most: int = 8) -> str:
    """``450×450 (4,170), 300×300 (2)``, the rarest summed up when there are many."""
    shown = [f"{what} ({number:,})" for what, number in counts.most_common(most)]
    rest = len(counts) - len(shown)
    if rest > 0:
        left = counts.total() - sum(number for _, number in counts.most_common(most))
        shown.append(f"{rest:,} others ({left:,})")
    return ", ".join(shown)


def read_sources(
    sources: Sequence[Path], root: Path | None = None, allow_outside: bool = False
) -> Reading:
    """Read `sources`, each a folder of pictures or a table that lists them, and check every cell.

    | source                               | recognised by                                      |
    |--------------------------------------|----------------------------------------------------|
    | C-NMC tree (Kaggle, TCIA, challenge) | folders ``fold_0``…, ``…prelim…``, ``phase2``, …   |
    | flat folder                          | file names ``UID_…``                               |
    | one folder a class                   | folders all, blast, 1, hem, normal, 0, …           |
    | labels of the preliminary test       | CSV columns Patient_ID, new_names, labels          |
    | lab list                             | CSV column Path; label where it is known           |
    | manifest already made                | CSV or Parquet columns path, subject, …            |

    A cell's id is its path in a table as written, else its path below the source folder (with
    the folder's name in front when there are several). Relative paths in a table begin at `root`,
    by default the table's folder; unless `allow_outside` all must end below it. Every picture is
    decoded. Raises BadInputError when a source is missing, is neither folder nor table, or holds no
    cells; bad rows do not raise here, see `Reading.settle`.
    """
    rows: list[Row] = []
    passed_over: list[Path] = []
    problems: list[str] = []
    if root is not None and not root.is_dir():
        problems.append(f"{root}: the root is not a folder")
    several = sum(source.is_dir() for source in sources) > 1
    for source in sources:
        try:
            if source.is_dir():
                found, others = folders.rows_of(source, named_folder=several)
                passed_over += others
            else:
                found = tables.rows_of(source, root, allow_outside)
        except BadInputError as error:
            problems.append(str(error))
        else:
            rows += found
    if problems:
        raise BadInputError("\n".join(problems))
    return _checked(rows, passed_over)


def _checked(rows: Sequence[Row], passed_over: Sequence[Path]) -> Reading:
    """Find what is wrong with each of `rows`, decode the pictures, part the good from the bad."""
    found = pd.DataFrame([asdict(row) for row in rows], dtype=object)
    names = found["source"] + " row " + found["row"].astype(str)
    found["reason"] = found["reason"].where(found["reason"] != "", manifest.faults(found, names))
    usable = found.index[found["reason"] == ""]
    checked = pictures.inspect_all([Path(path) for path in found.loc[usable, "path"]])
    found.loc[usable, "reason"] = [result if isinstance(result, str) else "" for result in checked]
    good = found["reason"] == ""
    rejected = found.loc[~good, ["source", "row", "id", "path", "reason"]].fillna("")
    return Reading(
        cells=manifest.typed(found.loc[good, manifest.COLUMNS].reset_index(drop=True)),
        rejected=rejected.reset_index(drop=True),
        found=len(rows),
        layouts=Counter((row.source, row.layout) for row in rows),
        sizes=Counter(result for result in checked if not isinstance(result, str)),
        passed_over=Counter(path.suffix.lower() or path.name for path in passed_over),
    )
