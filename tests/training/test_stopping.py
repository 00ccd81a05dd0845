"""What a signal does to a training, and a second one."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from leukoscope.training.stopping import stop_signals

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends signals as POSIX has them"),
    pytest.mark.usefixtures("interrupts"),
]


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Let SIGINT interrupt, which a shell has ignored by what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_a_second_signal_acts_as_always() -> None:
    with stop_signals() as stop:
        assert not stop.is_set()
        send(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_among_several_processes_no_sigterm_kills() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        with stop_signals(patient=True) as stop:
            for _ in range(3):
                send(signal.SIGTERM)
            assert stop.is_set()
            assert came == []
        with stop_signals() as stop:
            send(signal.SIGTERM)
            assert came == []
            send(signal.SIGTERM)
            assert came == [signal.SIGTERM]
        with stop_signals(patient=True):
            send(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                send(signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)
