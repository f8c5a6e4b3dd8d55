"""Run asynchronous work to its end from ordinary code, also where an event loop runs already (a notebook's cell).

Ctrl-C, and the signals of `limen.stopping` where a command heeds them, cancel the work once, so that it can put its
house in order; a second one ends it where it stands.

`sheltered` and `mortal` start other processes that Ctrl-C, which reaches all of them at once, ends without a traceback
from each.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from limen import stopping

T = TypeVar("T")
_Begun = tuple[asyncio.AbstractEventLoop, "asyncio.Task[Any]"]


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`: in a loop of this thread, or where one runs here already, of another thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work)
    begun: Future[_Begun] = Future()
    ended: Future[T] = Future()
    # Not an executor: one that is interrupted while its thread starts does not know the thread, nor waits for it.
    thread = threading.Thread(target=_carry, args=(work, begun, ended), name="limen-loop")
    try:
        thread.start()
        return ended.result()
    except KeyboardInterrupt:  # of this thread, at any line; the other would go on
        if begun.cancel():
            work.close()
        else:
            loop, task = begun.result()
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                loop.call_soon_threadsafe(task.cancel)
            ended.exception()  # until it has put its house in order
        raise


def _carry(work: Coroutine[Any, Any, T], begun: Future[_Begun], ended: Future[T]) -> None:
    try:
        ended.set_result(asyncio.run(_announced(work, begun)))
    except BaseException as error:  # noqa: BLE001 - told where the result is waited for
        ended.set_exception(error)


def _run(work: Coroutine[Any, Any, T]) -> T:
    signals, got = stopping.heeded(), list[int]()
    try:
        found = asyncio.run(_heeding(work, signals, got))
    except asyncio.CancelledError:
        if not got:
            raise
    else:
        if not got:
            return found
    finally:
        for number in signals:
            signal.signal(number, stopping.stop)
    raise stopping.StopSignal(got[0])


async def _heeding(work: Coroutine[Any, Any, T], signals: tuple[signal.Signals, ...], got: list[int]) -> T:
    task = asyncio.create_task(work)

    def cancel(number: int) -> None:
        got.append(number)
        stopping.hear(number)
        if len(got) > 1:
            stopping.stop(number)
        task.cancel()

    with contextlib.suppress(NotImplementedError):  # Windows
        for number in signals:
            asyncio.get_running_loop().add_signal_handler(number, cancel, number)
    return await task


async def _announced(work: Coroutine[Any, Any, T], begun: Future[_Begun]) -> T:
    task = asyncio.current_task()
    assert task is not None
    if not begun.set_running_or_notify_cancel():
        raise asyncio.CancelledError
    begun.set_result((asyncio.get_running_loop(), task))
    return await work


@contextlib.contextmanager
def sheltered() -> Iterator[None]:
    """Hold Ctrl-C back while processes are started: they inherit that until `mortal`, and here it comes afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def mortal() -> None:
    """Let Ctrl-C end this process, one that was started `sheltered`, at once and without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
