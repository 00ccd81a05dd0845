"""The board: where tasks on other machines say what they are doing.

Apart, so that the process that keeps it need not load PyTorch.
"""

from collections import Counter


class Board:
    """What is known of each run, by its number; an actor of Ray."""

    def __init__(self) -> None:
        self.starts = Counter[int]()
        self.doing: dict[int, str] = {}

    def start(self, number: int, node: str) -> None:
        """Note that a run was begun on `node`, for the first time or once more."""
        self.starts[number] += 1
        self.doing[number] = f"running on {node}"

    def wait(self, number: int, why: str) -> None:
        """Note that a run cannot go on yet."""
        self.doing[number] = f"waiting: {why}"

    def told(self) -> dict[int, tuple[str, int]]:
        """Return, of each run that was begun, what it is doing and how often it was begun again."""
        return {number: (doing, self.starts[number] - 1) for number, doing in self.doing.items()}
