"""Folders of pictures: C-NMC trees, flat folders of UID names, one folder a class."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePath

from leukoscope.cells import cnmc, pictures, tables
from leukoscope.cells.row import LABELS, Row
from leukoscope.errors import BadInputError


def rows_of(source: Path, named_folder: bool) -> tuple[list[Row], list[Path]]:
    """Rows for the pictures below `source`, and the files there that are none.

    With `named_folder` the ids begin with the folder's name, to be told from another folder's.
    Raises BadInputError when there is no picture or a folder cannot be listed.
    """
    folder = source.resolve()
    rows: dict[Path, Row] = {}
    others: list[Path] = []
    for path in walk(folder):
        inside = path.relative_to(folder)
        if not shows_cell(inside):
            others.append(path)
        else:
            rows[path] = _picture(source, folder, inside, number=len(rows) + 1)
    if not rows:
        raise BadInputError(
            f"{source}: no {', '.join(pictures.FORMATS)} picture in this folder or below it"
            + (f" ({len(others):,} other files)" if others else "")
        )
    labelled = _label_preliminary(folder, rows, others)
    read = {Path(row.source) for row in labelled}
    found = [*rows.values(), *labelled]
    if named_folder:
        for row in found:
            row.id = f"{folder.name}/{row.id}"
    return found, [path for path in others if path not in read]


def shows_cell(inside: PurePath) -> bool:
    """Tell whether a file is a picture, by its path below a folder; none is that is hidden."""
    return not hidden(inside) and inside.suffix.lower() in pictures.SUFFIXES


def hidden(inside: PurePath) -> bool:
    """Tell whether a file is hidden, or a folder of its path below the one that is read."""
    return any(part.startswith(".") or part == "__MACOSX" for part in inside.parts)


def _label_preliminary(folder: Path, rows: dict[Path, Row], others: list[Path]) -> list[Row]:
    """Rows from the labels of the preliminary test, taking the place of its pictures' in `rows`.

    A line without a picture gives a row, too; a picture without a line is marked in `rows`.
    """
    preliminary = [path for path, row in rows.items() if row.fold == cnmc.PRELIMINARY.fold]
    listed: dict[Path, list[Path]] = defaultdict(list)
    if not preliminary:  # labels that came without their pictures
        listed.update((path, []) for path in others if tables.lists_preliminary(path))
    numbered = [path for path in preliminary if rows[path].label is None and not rows[path].reason]
    beside = {place: _labels_beside(place) for place in {path.parent for path in numbered}}
    for path in numbered:
        if labels := beside[path.parent]:
            listed[labels].append(path)

    labelled: list[Row] = []
    for labels, paths in listed.items():
        _, lines = tables.read_table(labels)
        place = paths[0].parent if paths else labels.parent
        named = tables.preliminary_rows(labels, lines, place, {path.name: path for path in paths})
        for row in named:
            if row.path and Path(row.path).is_relative_to(folder):
                row.id = Path(row.path).relative_to(folder).as_posix()
        lined = {row.path for row in named}
        for path in paths:
            if str(path) in lined:
                del rows[path]
            else:
                rows[path].reason = f"{labels.name} has no row for this picture"
        labelled += named
    return labelled


def _labels_beside(place: Path) -> Path | None:
    """The preliminary labels in the folder `place`, beside it, or above it where it is doubled."""
    for folder in (place, *place.parents[:2]):
        found = [path for path in sorted(folder.glob("*")) if tables.lists_preliminary(path)]
        if len(found) > 1:
            raise BadInputError(
                f"{folder}: several files hold preliminary labels, keep one: "
                + ", ".join(path.name for path in found)
            )
        if found:
            return found[0]
    return None


def walk(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, sorted; of symbolic links only one to a parent is not followed.

    Raises BadInputError when a folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise BadInputError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        here = Path(place)
        resolved = here.resolve()
        folders[:] = sorted(
            name for name in folders if not resolved.is_relative_to((here / name).resolve())
        )
        yield from (here / name for name in sorted(names))


def _picture(source: Path, folder: Path, inside: Path, number: int) -> Row:
    """The row of the picture at `inside` below `folder`, from its name and its folders."""
    own, above = source.absolute().name, inside.parent.parts
    part = cnmc.part_of([own, *above])
    tellers = [name for name in above if name.lower() in LABELS]
    # The source's own name, such as "all" for all parts, speaks only where nothing else does.
    if not tellers and not part and own.lower() in LABELS:
        tellers = [own]
    told = {LABELS[name.lower()] for name in tellers}
    row = Row(str(source), number, "", inside.as_posix(), str(folder / inside))
    row.fold = part.fold if part else None
    if len(told) == 1:
        (row.label,) = told
    elif told:
        row.reason = f"the folders contradict one another: {', '.join(tellers)}"
    row.identify(inside.name, f"the folder {tellers[-1]}" if tellers else "")
    if part:
        row.layout = "C-NMC training folds" if part in cnmc.FOLDS else f"C-NMC {part.title}"
    elif row.subject:
        row.layout = "UID-named files"
    else:
        row.layout = "one folder a class" if told else "unrecognised"
    if row.label is None and part not in (cnmc.PRELIMINARY, cnmc.FINAL):
        row.reason = row.reason or (
            "unknown label: neither a folder (all, hem, blast, normal, …) nor the name (UID_…) "
            "tells the class"
        )
    return row
