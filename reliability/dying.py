"""Leukoscope, killed by itself at a point: ``dying.py POINT NUMBER WORD…``.

Points are passed again and again; at the NUMBERth time the process gets SIGKILL, as from outside.
With 0 it lives. Its last line on stderr says how often each point was passed.
"""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leukoscope.cli import app
from leukoscope.training import checkpoint

point, number, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
passed = Counter[str]()


def die(here: str) -> None:
    """Die, if it is time to."""
    passed[here] += 1
    if here == point and passed[here] == number:
        os.kill(os.getpid(), signal.SIGKILL)


def between(work: Callable[..., Any], before: str = "", after: str = "") -> Callable[..., Any]:
    """Return `work`, before and after which points lie."""

    def doing(*given: Any) -> Any:
        if before:
            die(before)
        told = work(*given)
        if after:
            die(after)
        return told

    return doing


def halved(write: Callable[..., None]) -> Callable[..., None]:
    """Return the writing of a checkpoint, in the middle of which a point lies."""

    def writing(state: Any, file: Any) -> None:
        write(state, file)
        if point == "write" and passed["write"] + 1 == number:
            file.truncate(file.tell() // 2)
            file.flush()
        die("write")

    return writing


checkpoint._write = halved(checkpoint._write)
os.fsync = between(os.fsync, before="fsync")
Path.replace = between(Path.replace, before="rename", after="renamed")
try:
    app(words, standalone_mode=False)
finally:
    print(json.dumps(passed), file=sys.stderr)
