"""Promise: whatever is asked of the server at once, it answers, keeps its memory, and is as fast.

Visitors send pictures for minutes, one after the other each, to `leukoscope serve`. All must have
their calls, or 503 and when to ask again; the memory of the process that calls must not grow from
the first half to the second; and as many pictures a second are called as by `leukoscope predict`
on the same folder before and after, but for a fifth.

    python reliability/load.py BUNDLE PICTURES [VISITORS SECONDS]
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from leukoscope.inference.bundle import Bundle
from served import Served
from tell import tell

VISITORS, SECONDS = 200, 300
SHARE = 0.8
"""Of what `predict` calls a second."""
GROWTH = 1.05
"""Of the memory, from the first half to the second."""


def memory(process: int) -> int:
    """Return the bytes that a process holds; Linux tells."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def predicted(bundle: Bundle, pictures: Path, place: Path) -> float:
    """Return the pictures a second that the command calls, its start included."""
    words = ["-m", "leukoscope", "predict", bundle.folder, pictures, "-o", place / "calls.csv"]
    started = time.perf_counter()
    subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True)
    seconds = time.perf_counter() - started
    return len((place / "calls.csv").read_text().splitlines()[1:]) / seconds


def visited(served: Served, pictures: Path, place: Path, visitors: int, seconds: int) -> list[int]:
    """Let visitors come, whose tables locust writes to `place`; return the memory as it was."""
    words = ["-f", Path(__file__).parent / "visitors.py", "--headless", "--only-summary"]
    words += ["--users", visitors, "--spawn-rate", visitors, "--run-time", f"{seconds}s"]
    words += ["--host", served.address, "--csv", place / "visits", "--stop-timeout", 180]
    told: list[int] = []
    with subprocess.Popen(
        [sys.executable, "-m", "locust", *map(str, words)],
        env={**os.environ, "PICTURES": str(pictures)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as locust:
        while locust.poll() is None:
            if caller := served.calling():
                told.append(memory(caller))
            time.sleep(0.5)
    return told


def read(table: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a table of locust's by their name, the status of the answers."""
    with table.open(encoding="utf-8") as file:
        return {row["Name"]: row for row in csv.DictReader(file)}


def load(
    folder: Path, pictures: Path, visitors: int = VISITORS, seconds: int = SECONDS
) -> tuple[int, list[str], dict[str, float]]:
    """Let `visitors` come for `seconds`; return the answers, what failed, and figures."""
    bundle = Bundle.open(folder)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        before = predicted(bundle, pictures, place)
        with Served.until_left(bundle, place / "log") as served:
            held = visited(served, pictures, place, visitors, seconds)
        after = predicted(bundle, pictures, place)
        rows, failures = read(place / "visits_stats.csv"), read(place / "visits_failures.csv")
    answers = {name: int(row["Request Count"]) for name, row in rows.items()}
    called = rows.get("200", {})
    figures = {
        "visitors": visitors,
        "seconds": seconds,
        "called": answers.get("200", 0),
        "sent_away": answers.get("503", 0),
        "p50_ms": float(called.get("50%", "nan")),
        "p99_ms": float(called.get("99%", "nan")),
        "pictures_a_second": float(called.get("Requests/s", "nan")),
        "predict_before": before,
        "predict_after": after,
        "most_memory_first_half_mib": max(held[: len(held) // 2]) / 2**20,
        "most_memory_second_half_mib": max(held[len(held) // 2 :]) / 2**20,
    }
    failed = [f"{row['Occurrences']} × {row['Error']}" for row in failures.values()]
    return answers["Aggregated"], failed, figures


def unkept(figures: dict[str, float]) -> list[str]:
    """Return what is not as promised of the figures of a long load."""
    found = []
    if figures["pictures_a_second"] < SHARE * max(
        figures["predict_before"], figures["predict_after"]
    ):
        found.append("slower than predict")
    first, second = (figures[f"most_memory_{half}_half_mib"] for half in ("first", "second"))
    if second > GROWTH * first:
        found.append("the memory grew")
    return found


def main(words: Sequence[str]) -> None:
    """Load as the command line says."""
    answers, failed, figures = load(Path(words[0]), Path(words[1]), *map(int, words[2:]))
    print(json.dumps(figures, indent=2))
    promise = "under any load: calls or 503, memory that keeps, four fifths of predict's speed"
    tell("load", promise, answers, failed + unkept(figures), **figures)


if __name__ == "__main__":
    main(sys.argv[1:])
