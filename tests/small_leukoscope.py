"""leukoscope with small trainings, served: by it the tests run what documents tell a reader to do.

One process imports everything once, makes trainings short and networks narrow, and forks for each
command that the programs of `install` hand to it. In no other process is anything changed.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import shutil
import socket
import socketserver
import sys
import time
import tomllib
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from documents import ROOT

PROGRAM = """\
#!{python} -S
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd()]).encode()
    socket.send_fds(server, [asked], [0, 1, 2])
    sys.exit(int(server.recv(8) or 70))
"""

MAKE = """\
#!/bin/sh -e
{make} --dry-run --directory {root} "$@" > /dev/null
[ "$1" = release-model ] || exit 0
mkdir -p build/release/compare/resnet18
cp -r runs/cv/resnet18/fold? build/release/compare/resnet18
leukoscope export build/release/compare -o build/release/bundle
"""
"""Targets are only seen to be there; for what one of them makes, the README's folds stand in."""

MOST = 65_536
"""Bytes of a command."""

FOLDS = 3
"""Instead of whatever number is asked for."""

MOST_FILES = 1024

SERVED = "http://localhost:8000/healthz"


def install(folder: Path, address: Path) -> None:
    """Write into `folder`, for PATH, the programs that the server at `address` answers."""
    folder.mkdir()
    served = PROGRAM.format(python=sys.executable, address=str(address))
    programs = dict.fromkeys(("leukoscope", "python", "pip", "torchrun"), served)
    programs["make"] = MAKE.format(make=shutil.which("make"), root=ROOT)
    for name, text in programs.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks for each command."""


class Handler(socketserver.BaseRequestHandler):
    """One command, in a process of its own, on the streams and in the folder of who asks."""

    def handle(self) -> None:
        asked, streams, *_ = socket.recv_fds(self.request, MOST, 3)
        name, words, folder = json.loads(asked)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.chdir(folder)
        self.request.sendall(str(status(name, words)).encode())


def status(name: str, words: list[str]) -> int:
    """Run a command; return its exit status."""
    from leukoscope import cli

    try:
        if name == "torchrun":
            name, words = "leukoscope", started(words)
        if name == "leukoscope":
            if words[:1] == ["serve"] and beside():
                return 0
            sys.argv = [name, *words]
            cli.main()
        elif name == "python":
            runpy.run_path(words[0], run_name="__main__")
        else:
            would_install(words)
    except SystemExit as stopped:
        return int(stopped.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def beside() -> bool:
    """Part in two: one that serves, and one, told by True, that comes back once it is answered.

    As a reader goes on in another window. The server ends with the process group.
    """
    if not os.fork():
        with Path(os.devnull).open("r+b") as nothing:
            for stream in range(3):
                os.dup2(nothing.fileno(), stream)
        os.closerange(3, MOST_FILES)  # who waits for the end of a stream is not to wait for this
        return False
    for _ in range(300):
        with suppress(OSError):
            urlopen(SERVED)
            return True
        time.sleep(0.2)
    raise TimeoutError(f"nothing answers at {SERVED}")


def started(words: list[str]) -> list[str]:
    """Check what torchrun is told; return the words for leukoscope, which here is one process."""
    from torch.distributed.run import parse_args

    told = parse_args(words)
    assert told.module, words
    assert told.training_script == "leukoscope", words
    return list(told.training_script_args)


def would_install(words: list[str]) -> None:
    """Check, without a network, that what ``pip install`` names is there: extras, and lists."""
    from packaging.requirements import Requirement

    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    verb, *rest = words
    assert verb == "install", words
    for before, word in pairwise(["", *rest]):
        if before in ("-c", "-r"):
            assert (ROOT / word).exists(), words
        elif not word.startswith("-"):
            # The project's own folder stands for its name.
            asked = Requirement(f"{told['name']}{word[1:]}" if word.startswith(".") else word)
            assert asked.name == told["name"], words
            assert asked.extras <= set(told["optional-dependencies"]), words


def shrink() -> None:
    """Make the trainings of this process short and few, its networks narrow, its measures rough."""
    from leukoscope import models
    from leukoscope.cells import prepare
    from leukoscope.evaluation import bootstrap
    from leukoscope.models.resnet import ResNet
    from leukoscope.studies import architectures, validation_gap
    from leukoscope.studies.study import Study
    from leukoscope.training import run
    from leukoscope.training.recipe import Recipe, recipe

    def short(name: str, overrides: Sequence[str] = ()) -> Recipe:
        return recipe(name, overrides).model_copy(update={"epochs": 1, "turns_averaged": False})

    def fewer(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*words: Any, **named: Any) -> Any:
            if named.get("folds"):
                named["folds"] = FOLDS
            if "seeds" in named:
                named["seeds"] = named["seeds"][:1]
            return function(*words, **named)

        return called

    run.recipe = short
    for place, name in ((prepare, "prepare"), (architectures, "plan"), (Study, "setup")):
        setattr(place, name, fewer(getattr(place, name)))
    for name, whole in models.MODELS.items():
        block, _ = whole.args
        models.MODELS[name] = partial(ResNet, block, (1, 1, 0, 0), width=4)
    models.gmacs = cache(models.gmacs)
    draws, seed = 20, 0
    bootstrap.sample.__defaults__ = (draws, seed)
    validation_gap.USUAL = validation_gap.QUICK


def serve_cells(tree: Path) -> None:
    """Let `tree` be all that was ever published of C-NMC 2019, and Kaggle serve it."""
    import kagglehub

    from leukoscope.cells import cnmc
    from leukoscope.cells.sources import read_sources

    cells = read_sources([tree]).cells
    counts = cells.groupby(["fold", "label"]).size()
    cnmc.FOLDS = tuple(
        replace(
            part,
            cells=int(counts[part.fold].sum()),
            blast=int(counts[part.fold, 1]),
            normal=int(counts[part.fold, 0]),
        )
        for part in cnmc.FOLDS
    )
    kagglehub.dataset_download = lambda _: str(tree)


def main(address: str, tree: str) -> None:
    """Serve at `address`, phantom cells of `tree` in place of C-NMC 2019."""
    if hasattr(os, "sched_setaffinity"):  # one core a command: other tests need the others
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[-1:])
    import leukoscope

    for module in pkgutil.walk_packages(leukoscope.__path__, "leukoscope."):
        if module.name != "leukoscope.__main__":
            importlib.import_module(module.name)
    shrink()
    serve_cells(Path(tree))
    gc.freeze()  # what was imported is no garbage, in no command
    with Server(address, Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
