"""Runs on a cluster of two nodes: what comes out is what comes out here, whatever dies."""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("ray")
import ray
from ray.cluster_utils import Cluster
from ray.exceptions import RayTaskError, WorkerCrashedError

from leukoscope.cells.store import Store
from leukoscope.cli import app
from leukoscope.errors import BadInputError, LeukoscopeError
from leukoscope.evaluation.result import predictions_file
from leukoscope.lock import InUse, held
from leukoscope.studies import spread as spreading
from leukoscope.studies.architectures import compare
from leukoscope.studies.board import Board, Said
from leukoscope.studies.crew import Crew, hired
from leukoscope.studies.runs import open_or_create
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.divergence import Diverged
from leukoscope.training.reproduce import difference
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.stopping import Interrupted

SHORT, LONG, ENDLESS = 1, 20, 5000
"""Epochs; the long one is killed in the midst of them."""

DRIVER = """
import sys
from pathlib import Path
from leukoscope.studies import spread
from leukoscope.studies.architectures import compare
from leukoscope.studies.crew import hired
from leukoscope.training.run import RunConfig

spread.footprint = lambda config: 0
address, folder, config = sys.argv[1:]
with hired("ray", address) as crew:
    compare({Path("long"): RunConfig.model_validate_json(config)}, Path(folder), crew)
"""


def config(store: Store, epochs: int, *overrides: str, **options: object) -> RunConfig:
    settings = {"model_options": {"width": 8}, "threads": 1, "device": "cpu", **options}
    changed = ["batch_size=8", f"epochs={epochs}", *overrides]
    return RunConfig.plan(store.folder, "resnet18", "lab", changed, watch_test=True, **settings)


@pytest.fixture(scope="module")
def planned(store: Store) -> dict[Path, RunConfig]:
    return {Path("short"): config(store, SHORT), Path("long"): config(store, LONG)}


@pytest.fixture(scope="module")
def local(planned: dict[Path, RunConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    compare(planned, folder)
    return folder


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of two nodes, a core each, that a shell began in the background."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which what it begins inherits
        try:
            cluster = Cluster(initialize_head=True, head_node_args=node)
            cluster.add_node(**node)
        finally:
            signal.signal(signal.SIGINT, before)
        yield cluster.address
        cluster.shutdown()


@pytest.fixture(scope="module")
def crew(address: str) -> Iterator[Crew]:
    """Joined once: every driver's workers load PyTorch anew."""
    with hired("ray", address) as found:
        yield found
    logging.getLogger("ray").setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "footprint", lambda _: 2**20)


def wait_for(what: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Do something beside the block, which is interrupted where that fails, or nothing ends."""
    over = threading.Event()

    def interrupt() -> None:
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    def acted() -> None:
        try:
            act()
        except BaseException:
            interrupt()
            raise

    bound = threading.Timer(400, interrupt)
    bound.start()
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(acted)
        try:
            yield
        finally:
            over.set()
            bound.cancel()
            acting.result()


def epochs(folder: Path) -> int:
    return len(Run.open(folder).history) if Run.exists(folder) else 0


def trainer_of(folder: Path) -> int | None:
    """Return the process that holds the run; None: it is just being written which."""
    found = re.match(r"process (\d+) ", (folder / ".lock").read_text(encoding="utf-8"))
    return int(found[1]) if found else None


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def assert_same(folder: Path, local: Path, planned: Mapping[Path, RunConfig]) -> None:
    """Weights and history bit for bit, predictions byte for byte."""
    for place in planned:
        one, other = Run.open(local / place), Run.open(folder / place)
        assert difference(one, other) == []
        for split in ("validation", "test"):
            files = [predictions_file(run, split).read_bytes() for run in (one, other)]
            assert files[0] == files[1]


@pytest.mark.cluster
def test_whatever_dies_is_gone_on_from_its_checkpoint(
    address: str,
    crew: Crew,
    planned: dict[Path, RunConfig],
    local: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """First the driver dies, then a process of the driver that goes on."""
    long = tmp_path / "long"
    shutil.copytree(local / "short", tmp_path / "short")
    kept = Run.open(tmp_path / "short").checkpoint("last").stat().st_mtime_ns
    words = [address, str(tmp_path), planned[Path("long")].model_dump_json()]
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, *words])
    try:
        wait_for(lambda: epochs(long) >= 2)
        orphan = trainer_of(long)
    finally:
        driver.kill()
        driver.wait()
    killed = []

    def kill() -> None:
        wait_for(lambda: trainer_of(long) not in (None, orphan))
        before = epochs(long)
        wait_for(lambda: epochs(long) > before)
        killed.append(trainer_of(long))
        os.kill(killed[0], signal.SIGKILL)
        assert epochs(long) < LONG

    with meanwhile(kill):
        compare(planned, tmp_path, crew)
    assert trainer_of(long) not in (orphan, *killed)
    wait_for(lambda: not lives(orphan))
    assert_same(tmp_path, local, planned)
    assert Run.open(tmp_path / "short").checkpoint("last").stat().st_mtime_ns == kept
    assert re.search(
        r"^long  done, retried 1  epoch 20/20  validation AUROC [01]\.\d{3}  \d+ images/s$",
        capsys.readouterr().err,
        re.MULTILINE,
    )


@pytest.mark.cluster
def test_an_error_is_told_as_here_and_ends_it_for_all(
    crew: Crew,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where a task does not hear the first interruption."""
    asked: list[ray.ObjectRef] = []
    cancel = ray.cancel

    def lost_at_first(task: ray.ObjectRef) -> None:
        if task in asked:
            cancel(task)
        asked.append(task)

    monkeypatch.setattr(ray, "cancel", lost_at_first)
    monkeypatch.setattr(spreading, "AGAIN", 3.0)
    bad, others = config(store, 1, "learning_rate=1e30"), config(store, ENDLESS)
    with pytest.raises(Diverged) as here:
        compare({Path("bad"): bad}, tmp_path / "here")
    configs = {Path("one"): others, Path("bad"): bad, Path("other"): others}
    with pytest.raises(Diverged, match=f"^{re.escape(str(here.value))}$"):
        compare(configs, tmp_path / "there", crew)
    told = capsys.readouterr().err
    assert "retried" not in told
    ends = {line.split()[0]: line.split()[1] for line in told.splitlines()}
    assert ends == {"one": "stopped", "bad": "failed", "other": "stopped"}


@pytest.mark.cluster
def test_an_interruption_leaves_checkpoints(
    crew: Crew,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Falling(Board):  # what cannot be shown ends no training
        def told(self) -> dict[int, Said]:
            os._exit(1)

    monkeypatch.setattr(spreading, "Board", Falling)
    folders = [tmp_path / name for name in ("one", "two")]

    def interrupt() -> None:
        wait_for(lambda: all(epochs(folder) for folder in folders))
        os.kill(os.getpid(), signal.SIGINT)

    configs = {Path(folder.name): config(store, ENDLESS) for folder in folders}
    with meanwhile(interrupt), pytest.raises(Interrupted, match="started again it keeps what is"):
        compare(configs, tmp_path, crew)
    told = capsys.readouterr().err
    for folder in folders:
        run = Run.open(folder)
        assert not run.finished
        assert Checkpoint.load(run.checkpoint("last")).progress.epoch == len(run.history)
        with held(folder):  # nobody trains it any more
            pass
        assert re.search(rf"^{folder.name}  stopped  epoch", told, re.MULTILINE)


def test_who_trains_on_is_interrupted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ray, "cancel", asked.append)
    monkeypatch.setattr(spreading, "AGAIN", 0.0)
    history = [1]
    tasks, runs, interrupted = {"task": 0}, [MagicMock(history=history)], {}

    def interruptions() -> int:
        spreading._interrupt(tasks, runs, interrupted)
        return len(asked)

    assert interruptions() == 1
    history.append(2)  # it may have heard after its last batch
    assert interruptions() == 1
    history.append(3)
    assert interruptions() == 2
    assert interruptions() == 2
    history.extend([4, 5])
    monkeypatch.setattr(spreading, "AGAIN", 60.0)
    assert interruptions() == 2


@pytest.mark.cluster
def test_what_no_machine_can_take_is_said(crew: Crew, store: Store, tmp_path: Path) -> None:
    config_of_many = config(store, 1, threads=3)
    with pytest.raises(BadInputError, match=r"no machine of the cluster .*: 3 cores, 0 cards, "):
        compare({Path("many"): config_of_many}, tmp_path, crew)


@pytest.mark.cluster
def test_a_run_in_use_is_waited_for(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_or_create(config(store, 1), tmp_path / "run")
    # An orphan of an earlier driver may be at it: a run that is as it should be is not touched.
    with held(run.folder):
        assert open_or_create(run.config, run.folder) == run
    monkeypatch.setattr(spreading, "POLL_SECONDS", 0.0)
    board, found = MagicMock(), iter([InUse("run is in use by process 7"), None])

    def work(run: Run) -> None:
        if fault := next(found):
            raise fault

    spreading._sitting(board, 3, work, run.folder)
    board.wait.remote.assert_called_once_with(3, "run is in use by process 7")
    monkeypatch.setattr(spreading, "PATIENCE", -1.0)
    found = iter([InUse("still in use")])
    with pytest.raises(InUse, match="still in use"):
        spreading._sitting(board, 3, work, run.folder)


@pytest.mark.parametrize("cause", [Diverged("no number"), OSError("no space"), None])
def test_an_error_of_the_work_is_told_itself(cause: Exception | None, tmp_path: Path) -> None:
    mistake = RayTaskError("sitting", "Traceback: ...", cause or KeyError("epoch"))
    fault = spreading._fault(mistake, MagicMock(folder=tmp_path))
    assert fault is (cause or mistake)


def test_a_process_that_dies_again_and_again_is_told(tmp_path: Path) -> None:
    fault = spreading._fault(WorkerCrashedError(), MagicMock(folder=tmp_path))
    assert type(fault) is LeukoscopeError
    assert str(fault).startswith(f"{tmp_path}: its process died and was begun anew up to 5 times")


@pytest.mark.parametrize(
    ("device", "found", "finished", "needs"),
    [
        ("cpu", "cpu", False, (3, 0, 1.2 * 2**20)),
        ("auto", "cpu", False, (3, 0, 1.2 * 2**20)),
        ("auto", "cuda", False, (3, 1, 1.2 * 2**20)),
        ("cuda", None, False, (3, 1, 0)),  # which this machine has not, to measure it
        ("cuda", None, True, (1, 0, 0)),
    ],
)
def test_a_run_takes_its_threads_a_card_and_memory(
    device: str,
    found: str | None,
    finished: bool,
    needs: tuple[float, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def device_of(_: str) -> torch.device:
        if not found:
            raise BadInputError("no such device here")
        return torch.device(found)

    monkeypatch.setattr(spreading, "device_of", device_of)
    run = MagicMock(config=MagicMock(device=device, threads=3), finished=finished)
    assert tuple(spreading._needs(run).values()) == pytest.approx(needs, abs=1)


def test_a_run_whose_machine_is_gone_is_shown_as_waiting() -> None:
    board = Board()
    for number, node in enumerate(["here", "gone", "gone", "here"]):
        board.start(number, f"node {node}", node)
    board.start(1, "node gone", "gone")
    board.wait(3, "in use")
    card, core = {"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0, "GPU": 0.0}
    states = spreading._states(
        [core, core, card, core, core, core], board.told(), {4: "done"}, {"here": {"CPU": 1.0}}
    )
    assert states == [
        "running on node here",
        "waiting, retried 1",
        "waiting: no machine that lives has what it takes",
        "waiting: in use",
        "done",
        "waiting",
    ]


@pytest.mark.parametrize(("command", "what"), [("compare", []), ("study", ["depth"])])
def test_an_address_goes_with_a_cluster(command: str, what: list[str]) -> None:
    words = [command, *what, "store", "-o", "runs", "--address", "auto"]
    found = CliRunner().invoke(app, words)
    assert isinstance(found.exception, BadInputError)
    assert "--engine ray" in str(found.exception)
