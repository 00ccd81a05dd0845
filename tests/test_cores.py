"""How many cores this process may use."""

import os
import subprocess
import sys

import pytest

from leukoscope.cores import cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process")
def test_a_process_bound_to_one_core_counts_one() -> None:
    code = (
        "import os; from leukoscope.cores import cores; "
        "os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); print(cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1"


def test_where_no_process_can_be_bound_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert cores() == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
