"""The board: where tasks on other machines say what they are doing.

Apart, so that the process that keeps it need not load PyTorch.
"""

from typing import NamedTuple


class Said(NamedTuple):
    """What is known of a run.

    Attributes:
        doing: in words.
        node: that it does it on, by Ray's identifier.
        again: how often it was begun again.
    """

    doing: str = "waiting"
    node: str = ""
    again: int = 0


class Board:
    """What is known of each run, by its number; an actor of Ray."""

    def __init__(self) -> None:
        self.said: dict[int, Said] = {}

    def start(self, number: int, name: str, node: str) -> None:
        """Note that a run was begun on a machine of this name, for the first time or once more."""
        again = self.said[number].again + 1 if number in self.said else 0
        self.said[number] = Said(f"running on {name}", node, again)

    def wait(self, number: int, why: str) -> None:
        """Note that a run cannot go on yet."""
        self.said[number] = self.said[number]._replace(doing=f"waiting: {why}")

    def told(self) -> dict[int, Said]:
        """Return what is known of each run that was begun."""
        return self.said
