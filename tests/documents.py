"""Documents, read back: the commands and the Python in them, and where they lead."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]

SHELL = {"", "sh", "bash", "shell", "console"}
"""What fenced commands may be called; an indented block is called nothing."""

SHOWN = {"text", "yaml"}
"""What a reader is only to look at."""


@dataclass(frozen=True)
class Step:
    """What a reader does next.

    Attributes:
        document, line: where it stands.
        text: a command, or a block of Python.
        python: which of the two.
    """

    document: Path
    line: int
    text: str
    python: bool

    @property
    def place(self) -> str:
        """As editors and pytest name it."""
        return f"{os.path.relpath(self.document, ROOT)}:{self.line}"

    @property
    def meaning(self) -> str:
        """The same for commands that differ in comment and space alone."""
        return self.text if self.python else shlex.join(shlex.split(self.text, comments=True))


def documents() -> list[Path]:
    """Return the README, on which the others build, and the pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def steps(document: Path) -> list[Step]:
    """Return what `document` tells its reader to do, in order."""
    return [step for token in _tokens(document) for step in _steps(document, token)]


def links(document: Path) -> list[tuple[str, Path]]:
    """Return the relative links and pictures of `document`: as written, and where each leads."""
    inline = [child for token in _tokens(document) for child in token.children or []]
    found = []
    for token in inline:
        target = str(token.attrGet("href") or token.attrGet("src") or "")
        parts = urlsplit(target)
        if parts.path and not parts.scheme and not parts.netloc:
            found.append((target, (document.parent / parts.path).resolve()))
    return found


def _tokens(document: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(document.read_text(encoding="utf-8"))


def _steps(document: Path, token: Token) -> Iterator[Step]:
    if token.type not in ("fence", "code_block") or token.map is None:
        return
    # Lines count from 1, and a fence has one of its own.
    first = token.map[0] + (2 if token.type == "fence" else 1)
    if token.info == "python":
        yield Step(document, first, token.content, python=True)
    elif token.info in SHELL:
        for line, command in enumerate(token.content.splitlines(), start=first):
            if command.strip():
                yield Step(document, line, command, python=False)
    else:
        assert token.info in SHOWN, f"{document}:{first}: is {token.info!r} to be run?"
