"""A disk that fills up, or is read-only: one sentence, and the training can go on.

The disk is a small one in memory, which a process may mount for itself alone.
"""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leukoscope.cells.store import Store
from leukoscope.training.reproduce import difference
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train

ALONE = ["unshare", "--user", "--map-root-user", "--mount"]
LEUKOSCOPE = f"{shlex.quote(sys.executable)} -m leukoscope"
SETTINGS = ["batch_size=8", "epochs=2"]


@pytest.fixture(scope="module")
def whole(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing came upon."""
    config = RunConfig.plan(
        store.folder, "resnet18", "lab", SETTINGS, threads=1, device="cpu", precision="32-true"
    )
    run = Run.create(tmp_path_factory.mktemp("whole") / "run", config)
    train(run)
    return run


def on_a_disk(folder: Path, size: str, script: str) -> str:
    """Run a shell script in `folder`, in which a disk of `size` is mounted; return what it says."""
    if not shutil.which("unshare") or subprocess.run([*ALONE, "true"]).returncode:
        pytest.skip("it takes a Linux that lets users mount")
    (folder / "disk").mkdir()
    lines = ["set -eux", f"mount -t tmpfs -o size={size} none disk", script]
    done = subprocess.run(
        [*ALONE, "sh", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


# A checkpoint has 45 MB: the first finds no room, or the second beside those of the first epoch.
@pytest.mark.parametrize("size", ["30m", "120m"])
def test_when_there_is_room_again_it_ends_the_same(whole: Run, tmp_path: Path, size: str) -> None:
    settings = " ".join(f"--set {each}" for each in SETTINGS)
    said = on_a_disk(
        tmp_path,
        size,
        f"""
        ! {LEUKOSCOPE} train {shlex.quote(whole.config.store)} -o disk/run {settings} \\
            --threads 1 --device cpu --precision 32-true
        mount -o remount,size=1g disk
        {LEUKOSCOPE} train --resume disk/run
        cp -r disk/run run
        """,
    )
    (sentence,) = (line for line in said.splitlines() if line.startswith("leukoscope: "))
    assert "No space left on device" in sentence
    assert "disk/run/checkpoints/" in sentence
    assert difference(whole, Run.open(tmp_path / "run")) == []


def test_a_read_only_disk_is_said(whole: Run, tmp_path: Path) -> None:
    said = on_a_disk(
        tmp_path,
        "1m",
        f"""
        mount -o remount,ro disk
        ! {LEUKOSCOPE} train {shlex.quote(whole.config.store)} -o disk/run
        ! {LEUKOSCOPE} phantom disk/cells
        """,
    )
    told = [line for line in said.splitlines() if line.startswith("leukoscope: ")]
    assert len(told) == 2
    assert all("Read-only file system" in line for line in told)
