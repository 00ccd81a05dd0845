"""Prediction needs what requirements-predict.txt lists, all of it, and nothing else."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pandas as pd
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from leukoscope.cells import manifest
from leukoscope.inference.bundle import Bundle

ROOT = Path(__file__).parents[2]

COMMAND = """
import json, sys
from pathlib import Path

refused, told, sys.argv = set(json.loads(sys.argv[1])), Path(sys.argv[2]), sys.argv[2:]

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refusing())
from leukoscope.cli import main
try:
    main()
finally:
    told.write_text(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
"""The command line, where some packages cannot be imported; writes down which were."""

Leukoscope = Callable[..., subprocess.CompletedProcess[str]]


def listed() -> list[str]:
    lines = (ROOT / "requirements-predict.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def with_dependencies(requirements: list[str]) -> set[str]:
    """Return the names of distributions that pip would install for `requirements`."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        if (name := canonicalize_name(wanted.name)) not in found:
            found.add(name)
            needed = [Requirement(line) for line in requires(name) or []]
            extras = [{"extra": extra} for extra in ("", *wanted.extras)]
            waiting += [
                each for each in needed if not each.marker or any(map(each.marker.evaluate, extras))
            ]
    return found


@pytest.fixture(scope="module")
def distributions() -> dict[str, set[str]]:
    """Which distributions provide each package that can be imported here."""
    found = packages_distributions().items()
    return {package: set(map(canonicalize_name, by)) for package, by in found}


@pytest.fixture
def leukoscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leukoscope:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(refused: set[str], *words: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        code = ["-c", COMMAND, json.dumps(sorted(refused)), "imported.json"]
        command = [sys.executable, *code, *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def others(distributions: dict[str, set[str]]) -> set[str]:
    """The packages that an environment for prediction alone has not."""
    there = with_dependencies(listed()) | {"leukoscope"}
    found = {package for package, by in distributions.items() if not by & there}
    assert {"torch", "sklearn", "pyarrow", "matplotlib", "captum", "yaml"} <= found
    return found


def test_calls_are_the_same_with_nothing_else_installed(
    leukoscope: Leukoscope,
    bundle: Bundle,
    cells: pd.DataFrame,
    distributions: dict[str, set[str]],
    others: set[str],
    tmp_path: Path,
) -> None:
    manifest.write(cells, tmp_path / "cells.csv")
    (tmp_path / "broken.bmp").write_text("no picture")
    words = ["predict", bundle.folder, "cells.csv", "broken.bmp", "--threads", 1, "--allow-outside"]
    summary = "--subject-summary"
    leukoscope(others, *words, "--engine", "fp32", "-o", "bare.csv", summary, "bare-people.csv")
    imported = json.loads((tmp_path / "imported.json").read_text())
    leukoscope(set(), *words, "--engine", "fp32", "-o", "whole.csv", summary, "people.csv")
    assert (tmp_path / "bare.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert (tmp_path / "bare-people.csv").read_bytes() == (tmp_path / "people.csv").read_bytes()
    assert len(pd.read_csv(tmp_path / "bare.csv")) == len(cells) + 1

    used = {name for package in imported for name in distributions.get(package, ())}
    assert names(listed()) <= used  # nothing is listed in vain

    leukoscope(others, *words, "-o", "calls.jsonl")  # by the engine that is the fastest


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["train", "store", "-o", "run"], "torch"),
        (["train", "--resume", "run"], "torch"),
        (["explain", "BUNDLE", "cells.csv", "-o", "why"], "torch"),
        (["predict", "BUNDLE", "cells.csv", "-o", "calls.csv", "--engine", "torch"], "torch"),
        (["predict", "BUNDLE", "cells.csv", "-o", "calls.parquet"], "pyarrow"),
        (["predict", "BUNDLE", "cells.parquet", "-o", "calls.csv"], "pyarrow"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    leukoscope: Leukoscope,
    bundle: Bundle,
    cells: pd.DataFrame,
    others: set[str],
    tmp_path: Path,
    words: list[str],
    missing: str,
) -> None:
    for suffix in ("csv", "parquet"):
        manifest.write(cells, tmp_path / f"cells.{suffix}")
    words = [str(bundle.folder) if word == "BUNDLE" else word for word in words]
    if "BUNDLE" not in words and words[0] != "train":
        words.append("--allow-outside")
    said = leukoscope(others, *words, status=2).stderr
    assert said.startswith(f"leukoscope: this needs {missing}, which is not installed here")
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("calls.*"))


def test_the_list_asks_for_no_other_versions_than_the_package() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["dependencies"]
    assert set(listed()) < set(declared)
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert with_dependencies(listed()) <= names(pinned)
