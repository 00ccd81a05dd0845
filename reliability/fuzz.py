"""Promise: no input ends or hangs leukoscope; each is read, or answered by one clear error.

Whole files of every kind that leukoscope reads are mutated at random: bits flipped, bytes cut out,
doubled, overwritten by numbers that break decoders, see `corpus`. Each is read in a process with
bounded memory and, a file, bounded time; anything but a result or a `LeukoscopeError` is a failure.

    python reliability/fuzz.py 10000
"""

import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import FrameType

from PIL import Image

from corpus import mutated, pictures, settings, tables
from leukoscope.cells import manifest
from leukoscope.cells.pictures import read_picture
from leukoscope.cells.sources import read_sources
from leukoscope.cores import cores
from leukoscope.errors import BadInputError, LeukoscopeError
from tell import tell

SECONDS = 10
"""Of computing, for one file."""
WAIT = 1200
"""Seconds of the clock for a batch: what waits for ever computes nothing."""
MEMORY = 4 * 2**30
"""For a process that has imported everything."""
BATCH = 250

Reader = Callable[[Path], object]


class TooLongError(Exception):
    """A file took longer than it may."""


def read_table(path: Path) -> None:
    """Read a table as each command that takes one does."""
    for reader in (lambda: read_sources([path]), lambda: manifest.read(path)):
        with suppress(BadInputError):
            reader()


def read_settings(path: Path) -> None:
    """Read settings as each command that takes some does."""
    from leukoscope.studies.candidates import Candidates
    from leukoscope.training.recipe import recipe

    for reader in (lambda: recipe(str(path)), lambda: Candidates.read(path)):
        with suppress(BadInputError):
            reader()


def read_bundle(folder: Path) -> None:
    """Open a bundle and call with it."""
    from leukoscope.inference.bundle import Bundle
    from leukoscope.inference.model import Model

    bundle = Bundle.open(folder)
    for engine in ("fp32", "int8", "torch"):
        with suppress(BadInputError):
            Model(bundle, engine, 1).predict([Image.new("RGB", (60, 60), (90, 60, 90))])


def read_run(folder: Path) -> None:
    """Open a run and all that it keeps."""
    from leukoscope.training.run import Run

    run = Run.open(folder)
    for look in (run.newest_checkpoint, lambda: run.load_model(), lambda: run.history):
        with suppress(BadInputError):
            look()


def read_store(folder: Path) -> None:
    """Open a store and hold its files against their digests."""
    from leukoscope.cells.store import Store

    Store.open(folder).verify()


def read_packed(folder: Path) -> None:
    """Read what is packed, picture by picture."""
    from leukoscope.inference import inputs

    for cell in inputs.find([folder]).cells:
        read_picture(cell.path)


FOLDERS: dict[str, Reader] = {
    "bundle": read_bundle,
    "run": read_run,
    "store": read_store,
    "packed": read_packed,
}
FILES: dict[str, tuple[Callable[[], dict[str, bytes]], Reader]] = {
    "pictures": (pictures, read_picture),
    "tables": (tables, read_table),
    "settings": (settings, read_settings),
}
SHARES = {"pictures": 0.6, "tables": 0.1, "settings": 0.1} | dict.fromkeys(FOLDERS, 0.05)
"""Of all that is tried."""


def attempts(kind: str, made: Path, place: Path, seed: int) -> Iterator[tuple[str, Path, Reader]]:
    """Yield without end a mutated file, or a folder with one in it, and what reads it."""
    chance = random.Random(seed)
    if kind in FILES:
        whole, reader = FILES[kind]
        corpus = sorted(whole().items())
        while True:
            name, content = chance.choice(corpus)
            path = place / name
            path.write_bytes(mutated(content, chance))
            yield name, path, reader
            path.unlink()
    source = made / kind
    names = [path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]
    while True:
        folder = place / kind
        shutil.copytree(source, folder)
        name = chance.choice(names)
        if chance.random() < 0.1:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(mutated((folder / name).read_bytes(), chance))
        yield f"{kind}/{name}", folder, FOLDERS[kind]
        shutil.rmtree(folder)


def too_long(_: int, _frame: FrameType | None) -> None:
    """End what is read now."""
    raise TooLongError


def work(kind: str, made: Path, seed: int, count: int) -> None:
    """Read `count` mutated files; print a line of JSON for each that does something else."""
    signal.signal(signal.SIGPROF, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as place:
        for name, path, reader in islice(attempts(kind, made, Path(place), seed), count):
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                reader(path)
            except LeukoscopeError:
                pass
            except BaseException:  # whatever it is, it is a failure
                print(json.dumps(f"{name} of seed {seed}: {traceback.format_exc(limit=-3)}"))
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)


def worked(kind: str, made: Path, seed: int, count: int) -> list[str]:
    """Do `work` in a process of its own; return the failures."""
    words = [sys.executable, __file__, "work", kind, str(made), str(seed), str(count)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=WAIT)
    except subprocess.TimeoutExpired:
        return [f"{kind} of seed {seed}: it hangs"]
    failed = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('"')]
    if done.returncode:
        failed.append(f"{kind} of seed {seed}: ended with {done.returncode}: {done.stderr[-500:]}")
    return failed


def make(place: Path) -> None:
    """Make a store, a run, a bundle and a pack, small ones."""
    from leukoscope.cells.phantom import write_phantoms
    from leukoscope.cells.prepare import prepare
    from leukoscope.inference.export import export
    from leukoscope.inference.pack import pack
    from leukoscope.inference.storage import Place
    from leukoscope.training.run import Run, RunConfig
    from leukoscope.training.trainer import train

    write_phantoms(place / "cells", 12, 60, 0)
    store = prepare(read_sources([place / "cells"]).cells, place / "store", size=32)
    settings = ["epochs=1", "batch_size=8"]
    options = {"device": "cpu", "threads": 1, "model_options": {"width": 16}}
    config = RunConfig.plan(store.folder, "resnet18", "lab", settings, **options)
    run = Run.create(place / "run", config)
    train(run)
    export(run, place / "bundle", "a card")
    pack([str(place / "cells")], Place.of(str(place / "packed")), 2**20)


def fuzz(tries: int, seed: int = 0) -> list[str]:
    """Read about `tries` mutated files; return what failed."""
    batches = [
        (kind, seed + start, min(BATCH, count - start))
        for kind, share in SHARES.items()
        for count in [round(tries * share)]
        for start in range(0, count, BATCH)
    ]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(cores()) as pool:
        make(Path(folder))
        failed: list[str] = []
        for batch, found in zip(
            batches,
            pool.map(lambda one: worked(one[0], Path(folder), *one[1:]), batches),
            strict=True,
        ):
            print(f"{batch[2]:5} {batch[0]}: {len(found)} failed", flush=True)
            failed += found
    return failed


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    else:
        tried = int(sys.argv[1])
        found = fuzz(tried)
        print("\n".join(found[:20]))
        tell("fuzz", "every input is read, or answered by one clear error", tried, found)
