"""What one measurement on this machine settles, made once and kept in the user's cache."""

import json
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import platformdirs
from pydantic import TypeAdapter, ValidationError

from leukoscope.files import write_text

Name = TypeVar("Name", bound=str)

ROUNDS = 5
"""In turns, of which the best counts: a machine that is busy for a moment decides nothing."""


def fastest(
    question: str, among: Sequence[Name], rate: Callable[[Name], float], lead: float = 1.0
) -> Name:
    """Return the one of `among` with the highest rate here; the first one where it is close.

    Args:
        question: what is chosen, with all on which the answer depends but the machine.
        among: at least one.
        rate: measures one of them, in cells a second.
        lead: how many times as fast as the first another has to be.
    """
    if len(among) == 1:
        return among[0]
    key = _key(question)
    kept = _kept().get(key)
    for name in among:
        if kept == name:
            return name
    rates = dict.fromkeys(among, 0.0)
    for _ in range(ROUNDS):
        rates = {name: max(best, rate(name)) for name, best in rates.items()}
    best = max(among, key=lambda name: rates[name] * (lead if name == among[0] else 1))
    told = ", ".join(f"{name} {found:,.1f}" for name, found in rates.items())
    print(f"measured here, cells/s: {told}; {best} is used from now on", file=sys.stderr)
    _keep(key, best)
    return best


def amount(question: str, measure: Callable[[], int]) -> int:
    """Return what `measure` says here, asked the first time.

    Args:
        question: what is measured, with all on which the answer depends but the machine.
        measure: says how much of it, in whole units.
    """
    key = _key(question)
    with suppress(KeyError, ValueError):  # never asked, or damaged
        return int(_kept()[key])
    found = measure()
    _keep(key, str(found))
    return found


def _key(question: str) -> str:
    return f"{question}, {_processor()}"


def _keep(key: str, answer: str) -> None:
    with suppress(OSError):  # no place to keep it: it is measured again the next time
        write_text(_cache(), json.dumps(_kept() | {key: answer}, indent=2) + "\n")


def _processor() -> str:
    """Name the processor as exactly as the system does."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if names := [line for line in lines if line.startswith("model name")]:
            return names[0]
    return platform.processor() or platform.machine()


def _cache() -> Path:
    return platformdirs.user_cache_path("leukoscope") / "measured.json"


def _kept() -> dict[str, str]:
    """Return what was measured before; nothing if there is no such file, or a damaged one."""
    try:
        return TypeAdapter(dict[str, str]).validate_json(_cache().read_bytes())
    except (OSError, ValidationError):
        return {}
