"""One cell as a folder or a table gives it, before anything is checked."""

from dataclasses import dataclass

from leukoscope.cells import cnmc, manifest

LABELS = {
    **dict.fromkeys(("1", "all", "blast", "blasts", "leukemia"), 1),
    **dict.fromkeys(("0", "hem", "normal", "healthy"), 0),
}
"""What folders and tables call the two classes, in lower case."""


@dataclass
class Row:
    """A cell as its source gives it, unchecked; `reason` says why it cannot be used."""

    source: str
    row: int
    layout: str
    id: str | None
    path: str | None
    label: int | None = None
    subject: str | None = None
    image: int | str | None = None
    cell: int | str | None = None
    fold: str | None = None
    split: str | None = None
    reason: str = ""

    def identify(self, name: str, teller: str) -> None:
        """Fill in what the UID file name `name` says; `teller` is who told the label so far."""
        try:
            identity = cnmc.identify(name)
        except ValueError as error:
            self.reason = self.reason or str(error)
            return
        if identity is None:
            return
        if self.label not in (None, identity.label):
            self.reason = self.reason or (
                f"{teller} says {manifest.CLASSES[self.label]}, "
                f"the name {name} says {manifest.CLASSES[identity.label]}"
            )
        self.label = identity.label
        if ":" not in (self.subject or ""):  # H1 without its namespace is no manifest's subject
            self.subject = identity.subject
        self.image = self.image or identity.image
        self.cell = self.cell or identity.cell
