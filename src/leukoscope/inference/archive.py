"""An archive, called by all machines of a Ray cluster, a `leukoscope.inference.part` at a time.

The driver lists what there is and what is finished, and sees only counts: rows are read, called and
written where the work is done. ``_calls.json`` in the folder of calls says by what they are made,
so that none of another bundle is added to them; ``_SUCCESS``, that they are all there.
"""

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from leukoscope.cluster import joined
from leukoscope.errors import BadInputError, LeukoscopeError, listing
from leukoscope.inference.bundle import INFO, LIKENESS, Bundle
from leukoscope.inference.calls import COUNTED, summary
from leukoscope.inference.engines import EngineName
from leukoscope.inference.inputs import expanded
from leukoscope.inference.inventory import files
from leukoscope.inference.model import Model
from leukoscope.inference.part import FINISHED, PREFIX, Part, plan
from leukoscope.inference.storage import Place
from leukoscope.progress import Bar

CALLS = "_calls.json"
SUCCESS = "_SUCCESS"
"""As Hadoop and Spark have it."""

BLOCKS = 4096
"""Of Ray Data: the driver keeps notes of each, and a machine that dies takes one with it."""

TRIES = 4
"""Of a part, over which machines or processes end."""

POISONOUS = 20
"""Of Ray Data's blocks: that many the others go on without, and more end it."""


class By(BaseModel):
    """By what calls are made: what ``_calls.json`` says.

    Attributes:
        bundle: its digest.
        engine: of it: one for the whole archive, so that no call depends on which machine made it.
        coverage: that was asked for, see `leukoscope.inference.model`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str
    engine: EngineName
    coverage: float | None


def predict(
    bundle: Bundle,
    sources: Sequence[str],
    target: Place,
    coverage: float | None,
    address: str | None,
    allow_outside: bool = False,
) -> str:
    """Call what `sources` name on a cluster, into tables below `target`; say what came of it.

    Finished parts are passed by: started again, it goes on.

    Args:
        bundle: whose model calls, in integers where it has them.
        sources: see `leukoscope.inference.inventory.files`; patterns, or ``-`` for a list, too. The
            cluster's machines read them as well.
        target: a folder; likewise.
        coverage: see `leukoscope.inference.model`.
        address: of the cluster, see `leukoscope.cluster`.
        allow_outside: whether manifests may name pictures outside of their folders.

    Raises:
        BadInputError: there is nothing to call, packing was not finished, or `target` holds calls
            of other pictures or by something else.
        LeukoscopeError: parts cannot be read, or a file system or the cluster does not answer.
    """
    bundle.info.review.coverage(coverage)  # refused before any work
    engine: EngineName = "fp32" if bundle.info.checks["int8"].refused else "int8"
    by = By(bundle=bundle.digest, engine=engine, coverage=coverage)
    parts, passed_over = plan(files(_apart(sources, target), allow_outside))
    left = _left(parts, target, by)
    counts, failed, silent = Counter[str](), [], {part.name: part for part in left}
    with Bar("calling", len(parts), "parts", len(parts) - len(left)) as bar:
        for name, counted, reason in _called(bundle, left, target, by, address):
            silent.pop(name, None)
            counts += Counter(counted)
            failed += [reason] if reason else []
            bar.advance()
    failed += [
        f"{part.first}: {TRIES} processes ended over it, or over one that they had to call with it"
        for part in silent.values()
    ]
    if failed:
        raise LeukoscopeError(
            f"{len(failed):,} of {len(parts):,} parts are not called, all others are:"
            f"{listing(failed)}"
        )
    target.below(SUCCESS).write(b"")
    before = f"{len(parts) - len(left):,} of {len(parts):,} parts were called before"
    lines = [before] if len(left) < len(parts) else []
    if left:
        lines.append(summary(bundle, engine, counts, passed_over, coverage))
    return "\n".join([*lines, "", f"written to {target.name}"])


def _apart(sources: Sequence[str], target: Place) -> Iterator[str]:
    """Yield what `sources` stand for; refuse a folder that would have the calls in it."""
    for source in expanded(sources):
        place = Place.of(source)
        if f"{target.name}/".startswith(f"{place.name}/"):
            raise BadInputError(
                f"{target.name} lies in {place.name}, which is read: name another one"
            )
        yield source


def _left(parts: Sequence[Part], target: Place, by: By) -> list[Part]:
    """Return what is not finished below `target`, where calls are made `by` this and no other."""
    names = {part.name for part in parts}
    if not parts:
        raise BadInputError("no pictures, packed or not, to be called")
    if len(names) < len(parts):
        raise BadInputError("the same pictures are named twice")
    note = target.below(CALLS)
    begun = note.exists()
    if not begun:
        note.write(by.model_dump_json(indent=2).encode() + b"\n")
    try:
        before = By.model_validate_json(note.read())
    except ValidationError as error:
        raise BadInputError(f"{note.name}: not what this version reads") from error
    if before != by:
        raise BadInputError(
            f"{target.name} holds calls by another bundle, engine or coverage: name a new folder"
        )
    folder = target.below(FINISHED)
    listed = folder.files_below() if folder.exists() else iter(())
    finished = {PurePosixPath(place.path).stem for place, _ in listed}
    finished = {name for name in finished if not name.startswith(".")}  # of who died over writing
    if others := finished - names:
        raise BadInputError(
            f"{target.name} holds calls of {len(others):,} parts that the sources no longer list: "
            "they have changed, so name a new folder"
        )
    left = [part for part in parts if part.name not in finished]
    if left and begun:
        target.below(SUCCESS).remove()
        _sweep(target, names)
    return left


def _sweep(target: Place, names: Set[str]) -> None:
    """Remove calls of parts that were never finished, and are none of `names` any more."""
    for place, _ in target.files_below():
        path = PurePosixPath(place.path)
        calls = path.parent.name.startswith(PREFIX) and not path.name.startswith(".")
        if calls and path.stem not in names:
            place.remove()


def _called(
    bundle: Bundle, parts: Sequence[Part], target: Place, by: By, address: str | None
) -> Iterator[tuple[str, dict[str, int], str]]:
    """Yield each part's name once it is finished, how many of each it counts, or why it is not."""
    if not parts:
        return
    with joined(address):
        import ray
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False  # there is one
        context.max_errored_blocks = POISONOUS
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        # There is no other way to end retries yet, so pyproject.toml ends before Ray 2.64.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated", DeprecationWarning)
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cpus = max(1, int(there.get("CPU", 1)))
        sent = ray.put(needed(bundle, by.engine))
        called = ray.data.from_items(
            [{"part": str(part)} for part in parts], override_num_blocks=min(len(parts), BLOCKS)
        ).map_batches(
            Caller,
            batch_size=1,
            num_cpus=1,
            # One at least, not all: those of a machine that died would wait for another machine.
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=cpus,
                initial_size=cpus,
                max_tasks_in_flight_per_actor=1,  # no other part is to pay for a poisonous one
            ),
            fn_constructor_args=[sent, by, target.address, target.path],
            max_task_retries=TRIES - 1,  # Ray Data's own are without end
            max_restarts=TRIES * POISONOUS,
        )
        for batch in called.iter_batches(batch_size=None, prefetch_batches=0):
            rows = zip(*(batch[name] for name in COUNTED), strict=True)
            for name, row, reason in zip(batch["part"], rows, batch["reason"], strict=True):
                yield str(name), dict(zip(COUNTED, map(int, row), strict=True)), str(reason)


def needed(bundle: Bundle, engine: EngineName) -> dict[str, bytes]:
    """Return the files of `bundle` that calling by `engine` takes, by their names."""
    # Floating point computes what lies beyond the integers.
    names = {f"{engine}.onnx", "fp32.onnx", LIKENESS}
    return {INFO: (bundle.folder / INFO).read_bytes()} | {
        name: bundle.file(name).read_bytes() for name in names
    }


class Caller:
    """What calls parts on one core of a cluster.

    Args:
        bundle: Ray's reference to what is `needed`.
        by: by what calls are made.
        address, path: of the folder of calls.
    """

    def __init__(self, bundle: Any, by: By, address: str, path: str) -> None:
        import ray

        with TemporaryDirectory(prefix="leukoscope-") as folder:  # gone before it can be left here
            for name, content in ray.get(bundle).items():
                Path(folder, name).write_bytes(content)
            self.model = Model(Bundle.open(Path(folder)), by.engine, threads=1)
            self.model.load()
        self.coverage, self.target = by.coverage, Place.of(address).at(path)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Call the parts of `batch`; return columns of what is counted, and of why it is not."""
        rows = [self.counted(Part.told(str(text))) for text in batch["part"]]
        names, counts, reasons = zip(*rows, strict=True)
        return {
            "part": np.array(names, dtype=object),
            **{name: np.array([counted.get(name, 0) for counted in counts]) for name in COUNTED},
            "reason": np.array(reasons, dtype=object),
        }

    def counted(self, part: Part) -> tuple[str, dict[str, int], str]:
        """Call a part; return its name, how many of each it counts, or why it cannot be called."""
        try:
            return part.name, part.call(self.model, self.coverage, self.target), ""
        except (LeukoscopeError, OSError) as error:  # the others go on without it
            return part.name, {}, str(error)
