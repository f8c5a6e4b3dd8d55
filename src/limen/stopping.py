"""How a command is stopped from outside: SIGTERM (a cluster's time limit) and SIGHUP end it as Ctrl-C does."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

GRACE = 10.0  # seconds in which calls under way may end after the first signal; Slurm kills 30 s after its SIGTERM
NAMES = tuple(name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopSignal(KeyboardInterrupt):
    """A signal other than Ctrl-C's asked the process to end."""

    def __init__(self, number: int) -> None:
        self.number, self.name = number, signal.Signals(number).name
        super().__init__(self.name)


def stop(number: int, frame: FrameType | None = None) -> None:
    """Raise `StopSignal`: the handler that `heeding` installs."""
    raise StopSignal(number)


@contextlib.contextmanager
def heeding() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `StopSignal` while the block runs, where nobody else has a say about them.

    Python allows handlers in the main thread alone; one that is ignored (nohup) stays so.
    """
    mine = []
    if threading.current_thread() is threading.main_thread():
        mine = [
            number for number in map(signal.Signals.__getitem__, NAMES) if signal.getsignal(number) is signal.SIG_DFL
        ]
    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def heeded() -> tuple[signal.Signals, ...]:
    """Return the signals that `heeding` listens to here."""
    return tuple(one for one in map(signal.Signals.__getitem__, NAMES) if signal.getsignal(one) is stop)
