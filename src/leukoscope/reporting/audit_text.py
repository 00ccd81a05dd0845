"""An audit in the terminal: the verdict first, then what it rests on."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from leukoscope.cells.audit import DOUBTS, Audit, Sides
from leukoscope.cells.manifest import CLASSES
from leukoscope.errors import listing

MOST = 12
"""Lines of a list that are printed; the files hold them all."""
DIVIDED = {
    "split": "the manifest's split",
    "official": "the official split (folds 0 and 1 train, fold 2 validates, prelim tests)",
    "fold": "the folds",
}


def tell(found: Audit) -> None:
    """Print what was `found`: in colour on a terminal, plainly elsewhere."""
    console = Console(highlight=False, soft_wrap=True)
    for style, line in lines(found):
        console.print(Text(line, style))


def lines(found: Audit) -> Iterator[tuple[str, str]]:
    """Yield (rich style, line) of what was `found`."""
    cells = found.cells
    yield (
        "",
        f"{len(cells):,} cells, {cells['subject'].nunique():,} subject names, "
        f"{cells['person'].nunique():,} people",
    )
    nameless = int(cells["subject"].isna().sum())
    if nameless:
        yield "", f"subject unknown: {nameless:,} cells; who they are cannot be told"
    for division in found.divisions:
        yield from _division(division)
    if not found.divisions:
        yield "bold", "\nno split and no folds in the manifest: nothing can leak yet"

    yield "bold", f"\nrepeated cells: {len(found.pairs):,} pairs of pictures"
    for kind, why in (
        ("exact", "equal pixels"),
        ("copy", "the same photograph: moved, turned, recompressed or cut out anew"),
        ("again", "another photograph of the same cell"),
    ):
        yield "", f"  {kind:6}{int(found.pairs['kind'].eq(kind).sum()):6,}  {why}"

    yield "bold", f"\npeople with several names: {len(found.merged):,}"
    merged = [
        f"{row['person']}: {row['cells']:,} cells"
        + (f" in {', '.join(row['folds'])}" if row["folds"] else "")
        for row in found.merged.to_dict("records")
    ]
    yield from _list(merged)
    joined = [f"{row.a} and {row.b} share {row.cells:,} cells" for row in found.joins.itertuples()]
    yield from _list(joined)

    wrong = found.named_pairs()[found.pairs["contradiction"]]
    if len(wrong):
        yield "bold red", f"\none cell, two classes: {len(wrong):,} pairs; a label is wrong"
        yield from _list([f"{row.a} and {row.b}" for row in wrong.itertuples()])

    yield "bold", "\ndoubtful pictures"
    for doubt, title in DOUBTS.items():
        yield "", f"  {title}: {len(found.doubtful(doubt)):,}"
        yield from _list([f"  {name}" for name in found.doubtful(doubt)])

    yield "bold", "\nbalance"
    counts = cells["label"].map(CLASSES).value_counts()
    yield "", "  " + (", ".join(f"{name} {n:,}" for name, n in counts.items()) or "no labels")
    yield from _list(
        [
            f"{person} holds {share:.0%} of class {kind} ({count:,} cells)"
            for kind, person, count, share in found.large.itertuples(index=False, name=None)
        ]
    )


def _division(division: Sides) -> Iterator[tuple[str, str]]:
    title = DIVIDED[division.name]
    if not division.leaks:
        yield "bold green", f"\nno leak: {title} keeps people and repeated cells apart"
        return
    verb = "leaks" if division.judged else "share people (no split by themselves)"
    style = "bold red" if division.judged else "bold"
    yield style, f"\n{title} {verb}: on two sides or more stand"
    yield "", f"  {len(division.persons):,} people, {division.repeated:,} repeated cells"
    yield from _list(
        [
            f"{person}: " + ", ".join(f"{side} {n:,}" for side, n in row.items() if n)
            for person, row in division.persons.iterrows()
        ]
    )


def _list(entries: Sequence[str]) -> Iterator[tuple[str, str]]:
    text = listing(entries, MOST).removeprefix("\n")
    if text:
        yield "", text
