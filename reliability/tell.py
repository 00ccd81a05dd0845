"""What the checks of reliability share: how a result is told and kept."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def tell(name: str, promise: str, tried: int, failed: Sequence[str], **more: object) -> None:
    """Print what was tried and what failed, keep it as JSON, and exit with 1 if anything did."""
    words = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    result = {
        "promise": promise,
        "tried": tried,
        "failed": list(failed),
        **more,
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{promise}: {tried:,} tried, {len(failed):,} failed")
    sys.exit(bool(failed))
