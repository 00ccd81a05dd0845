"""Checkpoints: whole or refused, and never run as code."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from leukoscope.errors import BadInputError
from leukoscope.training.checkpoint import HEAD, Checkpoint, Progress

PROGRESS = Progress(1, 2, torch.tensor([0.5, 0.25]), torch.tensor([3, 4]), 1.5, [{"a": 1.0}], None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    weights = {"weight": torch.arange(1000, dtype=torch.float32)}
    path = tmp_path / "last.ckpt"
    Checkpoint(PROGRESS, weights, {"state": {}}, {"cpu": torch.get_rng_state()}).save(path)
    return path


def test_a_checkpoint_reads_back(path: Path) -> None:
    read = Checkpoint.load(path)
    assert torch.equal(read.model["weight"], torch.arange(1000, dtype=torch.float32))
    assert torch.equal(read.random["cpu"], torch.get_rng_state())
    assert (read.progress.epoch, read.progress.batch) == (1, 2)
    assert read.progress.history == [{"a": 1.0}]
    assert read.average is None


@pytest.mark.parametrize("place", [0, 30, 88, 89, 0.3, 0.6, 0.9, -1])
def test_a_flipped_bit_is_noticed_wherever_it_is(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content)) if 0 < place < 1 else int(place)] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"last\.ckpt"):
        Checkpoint.load(path)


@pytest.mark.parametrize("kept", [0, 20, 89, 10_000])
def test_a_file_cut_short_is_noticed(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInputError, match=r"last\.ckpt"):
        Checkpoint.load(path)


def test_what_is_missing_and_what_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such checkpoint"):
        Checkpoint.load(tmp_path / "gone.ckpt")
    (tmp_path / "text.ckpt").write_text("weights")
    with pytest.raises(BadInputError, match="no checkpoint"):
        Checkpoint.load(tmp_path / "text.ckpt")


def test_one_without_a_digest_and_one_of_a_later_version_are_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\n") + 1 :])
    with pytest.raises(BadInputError, match="no checkpoint"):
        Checkpoint.load(path)
    path.write_bytes(content.replace(b"checkpoint 1", b"checkpoint 2", 1))
    with pytest.raises(BadInputError, match="of a version that this one cannot read"):
        Checkpoint.load(path)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"progress": Attack()}, tmp_path / "evil.ckpt")
    content = (tmp_path / "evil.ckpt").read_bytes()
    digest = hashlib.sha256(content).hexdigest().encode()
    (tmp_path / "evil.ckpt").write_bytes(HEAD + digest + b"\n" + content)
    with pytest.raises(BadInputError, match="not a whole checkpoint"):
        Checkpoint.load(tmp_path / "evil.ckpt")
    assert not (tmp_path / "owned").exists()
