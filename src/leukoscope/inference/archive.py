"""An archive, called by all machines of a Ray cluster, a `leukoscope.inference.part` at a time.

The driver lists what there is and what is finished, and sees only counts: rows are read, called and
written where the work is done. ``_calls.json`` in the folder of calls says by what they are made,
so that none of another bundle is added to them; ``_SUCCESS``, that they are all there.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
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
from leukoscope.inference.inputs import PACKED, remote
from leukoscope.inference.listing import files
from leukoscope.inference.model import Model
from leukoscope.inference.part import FINISHED, Part, plan
from leukoscope.inference.storage import Place
from leukoscope.progress import Bar

CALLS = "_calls.json"
SUCCESS = "_SUCCESS"
"""As Hadoop and Spark have it."""

BLOCKS = 4096
"""Of Ray Data: the driver keeps notes of each, and a machine that dies takes one with it."""


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
        sources: see `leukoscope.inference.listing.files`; the cluster's machines read them, too.
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
    for source in sources:
        _check(source, target)
    parts, passed_over = plan(files(sources, allow_outside))
    left = _left(parts, target, by)
    counts, failed = Counter[str](), []
    with Bar("calling", len(parts), "parts", len(parts) - len(left)) as bar:
        for counted, reason in _called(bundle, left, target, by, address):
            counts += Counter(counted)
            failed += [reason] if reason else []
            bar.advance()
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


def _check(source: str, target: Place) -> None:
    """Refuse a folder of shards that is not whole, and one that would have the calls in it."""
    place = Place.of(source)
    if f"{target.name}/".startswith(f"{place.name}/"):
        raise BadInputError(f"{target.name} lies in {place.name}, which is read: name another one")
    if (remote(source) or Path(source).is_dir()) and (
        place.below("shard-000000.parquet").exists() and not place.below(PACKED).exists()
    ):
        raise BadInputError(f"{place.name}: packing was not finished; start it again, it goes on")


def _left(parts: Sequence[Part], target: Place, by: By) -> list[Part]:
    """Return what is not finished below `target`, where calls are made `by` this and no other."""
    names = {part.name for part in parts}
    if not parts:
        raise BadInputError("no pictures, packed or not, to be called")
    if len(names) < len(parts):
        raise BadInputError("the same pictures are named twice")
    note = target.below(CALLS)
    if not note.exists():
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
    return [part for part in parts if part.name not in finished]


def _called(
    bundle: Bundle, parts: Sequence[Part], target: Place, by: By, address: str | None
) -> Iterator[tuple[dict[str, int], str]]:
    """Yield how many of each are counted in each part once it is finished, or why it cannot be."""
    if not parts:
        return
    with joined(address):
        import ray
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False  # there is one
        logging.getLogger("ray.data").setLevel(logging.ERROR)
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
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=cpus, initial_size=cpus),
            fn_constructor_args=[sent, by, target.address, target.path],
        )
        for batch in called.iter_batches(batch_size=None, prefetch_batches=0):
            rows = zip(*(batch[name] for name in COUNTED), strict=True)
            for row, reason in zip(rows, batch["reason"], strict=True):
                yield dict(zip(COUNTED, map(int, row), strict=True)), str(reason)


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

        self.folder = TemporaryDirectory(prefix="leukoscope-")  # files are opened when needed
        for name, content in ray.get(bundle).items():
            Path(self.folder.name, name).write_bytes(content)
        self.model = Model(Bundle.open(Path(self.folder.name)), by.engine, threads=1)
        self.coverage, self.target = by.coverage, Place.of(address).at(path)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Call the parts of `batch`; return columns of what is counted, and of why it is not."""
        rows = [self.counted(Part.told(str(text))) for text in batch["part"]]
        counts = {name: np.array([counted.get(name, 0) for counted, _ in rows]) for name in COUNTED}
        return {**counts, "reason": np.array([reason for _, reason in rows], dtype=object)}

    def counted(self, part: Part) -> tuple[dict[str, int], str]:
        """Call a part; return how many of each are counted, and else why it cannot be called."""
        try:
            return part.call(self.model, self.coverage, self.target), ""
        except (LeukoscopeError, OSError) as error:  # the others go on without it
            return {}, str(error)
