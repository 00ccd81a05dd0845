"""Tensors take the memory of those before them: pages are counted, not time."""

import platform
import subprocess
import sys

import pytest

COUNTED = """
import resource, torch
from concurrent.futures import ThreadPoolExecutor
from leukoscope.training.heap import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(2**24)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
keep_freed_memory()
faults()
kept = faults()
with ThreadPoolExecutor(1) as thread:
    thread.submit(faults).result()  # a thread lives by it, too
print(usual, kept)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left alone")
def test_freed_memory_is_used_again() -> None:
    told = subprocess.run(
        [sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True
    ).stdout
    usual, kept = map(int, told.split())
    assert usual > 8 * 2**24 * 4 / 2**21  # at the least a fault each huge page of 2 MiB
    assert kept < usual / 4  # where the heap begins is chance: it may grow once more
