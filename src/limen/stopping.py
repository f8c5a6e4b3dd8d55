"""How a command is stopped from outside: SIGTERM (a cluster's time limit) and SIGHUP end it as Ctrl-C does.

What it writes when the terminal is gone goes nowhere, so that it ends as it would have with one.
"""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator
from types import FrameType

GRACE = 10.0  # seconds in which calls under way may end after the first signal; Slurm kills 30 s after its SIGTERM
NAMES = tuple(name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

_heard = list[int]()  # signals that came while they were heeded


class StopSignal(KeyboardInterrupt):
    """A signal other than Ctrl-C's asked the process to end."""

    def __init__(self, number: int) -> None:
        self.number, self.name = number, signal.Signals(number).name
        super().__init__(self.name)


def stop(number: int, frame: FrameType | None = None) -> None:
    """Raise `StopSignal`: the handler that `heeding` installs."""
    hear(number)
    raise StopSignal(number)


def hear(number: int) -> None:
    """Take down that a signal has come, for `heard`; at SIGHUP let go of a terminal that is gone.

    Args:
        number: of the signal.
    """
    _heard.append(number)
    if signal.Signals(number).name == "SIGHUP":
        detached()


def heard() -> signal.Signals | None:
    """Return the signal that asked the command to end first; None for none, or Ctrl-C alone.

    An exception does not tell: libraries that run Python's handlers put a KeyboardInterrupt of their own in its place.
    """
    return signal.Signals(_heard[0]) if _heard else None


def detached() -> bool:
    """Let what is written to a terminal or a pipe that is gone go nowhere; say whether there was one."""
    if not hasattr(select, "poll"):  # Windows
        return False
    streams = select.poll()
    for stream in (1, 2):
        streams.register(stream, 0)
    gone = [stream for stream, event in streams.poll(0) if event & (select.POLLHUP | select.POLLERR)]
    for stream in gone:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream)
        os.close(nowhere)
    return bool(gone)


@contextlib.contextmanager
def heeding() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `StopSignal` while the block runs, where nobody else has a say about them.

    Python allows handlers in the main thread alone; one that is ignored (nohup) stays so.
    """
    mine = []
    _heard.clear()
    if threading.current_thread() is threading.main_thread():
        mine = [
            number for number in map(signal.Signals.__getitem__, NAMES) if signal.getsignal(number) is signal.SIG_DFL
        ]
    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        _heard.clear()
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def heeded() -> tuple[signal.Signals, ...]:
    """Return the signals that `heeding` listens to here."""
    return tuple(one for one in map(signal.Signals.__getitem__, NAMES) if signal.getsignal(one) is stop)
