"""Ctrl-C asks a training to stop; a second one stops it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from leukoscope.errors import LeukoscopeError


class Interrupted(LeukoscopeError):  # noqa: N818 - an interruption is no error of the training
    """The user asked to stop; everything is saved."""

    exit_code = 130


@contextmanager
def stop_signals(patient: bool = False) -> Iterator[threading.Event]:
    """Yield an event that SIGINT or SIGTERM sets; a second signal acts as it always does.

    Args:
        patient: no SIGTERM does, for of several processes each may be sent one by the scheduler and
            one by torchrun, when another process has ended first.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()
        if not (patient and number == signal.SIGTERM):
            signal.signal(number, before[signal.Signals(number)])

    for number in signals:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number in signals:
            signal.signal(number, before[number])
