"""A process of Ray's: what it is given before its work, and how errors come home from it."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Self

from limen import __version__, registry
from limen.errors import FatalObserverError, InputError, LimenError, ObserverError, StoreError

TRIES = 3  # replicas that are lost over one question or piece of work before it is given up
LOSSES = 5  # times in a row that one replica is lost before it is
PAUSE = 1.0  # seconds before one is begun anew, doubled each time
FOLDER = "limen-replica."
# The shell's input ends with the process that holds the other end; one in the background would have none of its own.
OUTLIVING = 'exec 3<&0; (cat <&3; rm -rf -- "$1") >/dev/null 2>&1 &'
LEAVE = 5.0  # seconds that replicas have to close what they hold


class Lost(Exception):
    """A process of Ray's is gone, by itself or with its node, or what it was to give is."""


class Full(Exception):
    """Ray has no room for what is to be sent."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a command was begun, and the plug-in files that it runs.

    Attributes:
        folder: paths that the command was given start there.
        plugins: files, in order.
    """

    folder: str
    plugins: Sequence[str]

    @classmethod
    def here(cls) -> Self:
        """Return this process's."""
        return cls(os.getcwd(), registry.plugged())

    def enter(self) -> None:
        """Make them the current process's; a folder that is not there is left to what is looked for in it.

        Raises:
            InputError: a plug-in file is not there, or does not run.
        """
        with contextlib.suppress(OSError):
            os.chdir(self.folder)
        for path in self.plugins:
            registry.plugin(path)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of limen's as it crosses between processes: Ray cannot make every class of them anew.

    Attributes:
        detail: its text.
        kind: of an observer's error; "" of another one.
        fatal: whether the observer is not to be asked again.
        stored: whether it is about files.
    """

    detail: str
    kind: str = ""
    fatal: bool = False
    stored: bool = False

    @classmethod
    def of(cls, error: LimenError) -> Self:
        """Return what crosses in place of an error."""
        if isinstance(error, ObserverError):
            return cls(error.detail, error.kind, isinstance(error, FatalObserverError))
        return cls(str(error), stored=isinstance(error, StoreError))

    def error(self, where: str) -> LimenError:
        """Return the error again, with where it comes from."""
        text = f"{where}: {self.detail}"
        if self.kind:
            return (FatalObserverError if self.fatal else ObserverError)(self.kind, text)
        return (StoreError if self.stored else InputError)(text)


def other_version(there: str, node: str) -> str:
    """Say that a node has another limen, and what to do; "" where it has this one.

    Args:
        there: its version.
        node: its name.
    """
    if there == __version__:
        return ""
    return f"limen is {there} on {node} and {__version__} here. Install one version on all nodes."


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Yield a folder of this process alone, that goes when the process does, however it ends.

    Ray ends the replicas of a command that is stopped by SIGKILL, so that a shell beside waits for the end. What is
    left where that was killed, too, is removed by the next process that has such a folder: one that can be locked is
    nobody's.
    """
    import fcntl

    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{FOLDER}*"):
        with contextlib.suppress(OSError):
            held = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(held)
    made = Path(tempfile.mkdtemp(prefix=f".{FOLDER}"))
    held = os.open(made, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    folder = made.rename(place / made.name[1:])  # seen by others when it is locked, not before
    with subprocess.Popen(["sh", "-c", OUTLIVING, "sh", folder], stdin=subprocess.PIPE, start_new_session=True):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


@contextlib.contextmanager
def calling(ray: ModuleType) -> Iterator[None]:
    """Tell apart why a call of a process of Ray's gives nothing; what its own code raises is raised as if called here.

    Raises:
        Lost: it is gone.
        Full: there is no room to send what is to be sent.
        InputError: it cannot be made, because its node has no limen that can.
    """
    errors = ray.exceptions
    try:
        yield
    except errors.RayTaskError:
        raise
    except (errors.ObjectStoreFullError, errors.OutOfDiskError) as error:
        raise Full(f"Ray has no room to send it ({line(error)}). Give its nodes more memory or disk.") from None
    except errors.RayError as error:
        if isinstance(error, errors.ActorDiedError) and "creation task" in str(error):
            cause = str(error).strip().splitlines()[-1][:160]
            raise InputError(
                f"A node of the cluster cannot do limen's work ({cause}). Install limen {__version__} with the same "
                "extras on all nodes."
            ) from None
        if isinstance(error, errors.ActorDiedError):
            node = "its node has died" in str(error)
            raise Lost("its node is gone" if node else "its process ended, perhaps killed") from None
        if isinstance(error, errors.ActorUnavailableError):
            raise Lost("its process does not answer") from None
        raise Lost(line(error)) from None


def line(error: Exception) -> str:
    """Return an error's class and the first line of its text."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}" if str(error) else type(error).__name__
