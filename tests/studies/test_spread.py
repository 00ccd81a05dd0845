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
from pathlib import Path
from unittest.mock import MagicMock

import pytest

pytest.importorskip("ray")
from ray.cluster_utils import Cluster

from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.result import predictions_file
from leukoscope.lock import InUse, held
from leukoscope.studies import spread as spreading
from leukoscope.studies.architectures import compare
from leukoscope.studies.crew import Crew, hired
from leukoscope.studies.runs import open_or_create
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.reproduce import difference
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.stopping import Interrupted
from leukoscope.training.trainer import Diverged

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
address, folder, *planned = sys.argv[1:]
configs = {Path(name): RunConfig.model_validate_json(text)
           for name, text in zip(planned[::2], planned[1::2], strict=True)}
with hired("ray", address) as crew:
    compare(configs, Path(folder), crew)
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
    """The address of two nodes, a core each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        cluster.add_node(**node)
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


def epochs(folder: Path) -> int:
    return len(Run.open(folder).history) if Run.exists(folder) else 0


def trainer_of(folder: Path) -> int:
    """Return the process that holds the run."""
    found = re.match(r"process (\d+) ", (folder / ".lock").read_text(encoding="utf-8"))
    assert found
    return int(found[1])


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


def test_a_killed_process_is_gone_on_from_its_checkpoint(
    crew: Crew,
    planned: dict[Path, RunConfig],
    local: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    killed = []

    def kill() -> None:
        wait_for(lambda: epochs(tmp_path / "long") >= 2)
        killed.append(trainer_of(tmp_path / "long"))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    compare(planned, tmp_path, crew)
    killer.join()
    assert_same(tmp_path, local, planned)
    assert trainer_of(tmp_path / "long") != killed[0]
    assert re.search(
        r"^long  done, retried 1  epoch 20/20  validation AUROC [01]\.\d{3}  \d+ images/s$",
        capsys.readouterr().err,
        re.MULTILINE,
    )


def test_a_killed_driver_is_started_again(
    address: str, crew: Crew, planned: dict[Path, RunConfig], local: Path, tmp_path: Path
) -> None:
    shutil.copytree(local / "short", tmp_path / "short")
    kept = Run.open(tmp_path / "short").checkpoint("last").stat().st_mtime_ns
    told = [word for place, one in planned.items() for word in (str(place), one.model_dump_json())]
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, address, str(tmp_path), *told])
    wait_for(lambda: epochs(tmp_path / "long") >= 2)
    orphan = trainer_of(tmp_path / "long")
    driver.kill()
    driver.wait()
    assert epochs(tmp_path / "long") < LONG
    compare(planned, tmp_path, crew)
    assert trainer_of(tmp_path / "long") != orphan
    wait_for(lambda: not lives(orphan))
    assert_same(tmp_path, local, planned)
    assert Run.open(tmp_path / "short").checkpoint("last").stat().st_mtime_ns == kept


def test_an_error_is_told_as_here_and_ends_it_for_all(
    crew: Crew, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_an_interruption_leaves_checkpoints(crew: Crew, store: Store, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]

    def interrupt() -> None:
        wait_for(lambda: all(epochs(folder) for folder in folders))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted, match="started again it keeps what is finished"):
        compare({Path(folder.name): config(store, ENDLESS) for folder in folders}, tmp_path, crew)
    thread.join()
    for folder in folders:
        run = Run.open(folder)
        assert not run.finished
        assert Checkpoint.load(run.checkpoint("last")).progress.epoch == len(run.history)
        with held(folder):  # nobody trains it any more
            pass


def test_what_no_machine_can_take_is_said(crew: Crew, store: Store, tmp_path: Path) -> None:
    config_of_many = config(store, 1, threads=3)
    with pytest.raises(BadInputError, match=r"no machine of the cluster .*: 3 cores, 0 cards, "):
        compare({Path("many"): config_of_many}, tmp_path, crew)


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


def test_an_address_goes_with_a_cluster() -> None:
    with pytest.raises(BadInputError, match="--engine ray"), hired("local", "auto"):
        pass
