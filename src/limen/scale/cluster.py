"""A Ray cluster: connected to, or started in this machine for one command; what there is of it.

Ray is told to send no usage statistics. Its own handlers of signals are taken away again: a command of limen that is
stopped keeps what is paid for (`limen.stopping`), which Ray's would prevent.
"""

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from limen.errors import InputError, MissingExtraError

HERE = "here"  # address of a Ray that one command starts for itself
REACH = 5.0  # seconds in which an address must answer
ENDED = "Ray has ended on this node (its raylet was killed, or ended by itself), and with it the way to the replicas."
SETTINGS = 4  # type of the frame that either side of HTTP/2 sends first
START = "ray start --head --port=6379 on the first node, ray start --address=HOST:6379 on the others"


_ended: Future[None] = Future()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an observer's replicas, or the tasks of a command, are put.

    Attributes:
        address: "here" for a Ray of this command alone, "auto" for the one that this node belongs to, or HOST:PORT.
        replicas: how many; 0 for as many as there is room for when the command begins.
        gpus: of each, a whole number or a part of one (.5: two share one).
        cpus: of each, >= 1.
        wait_s: for the first replica to be there, and for another one when all are lost, in seconds.
    """

    address: str = HERE
    replicas: int = 0
    gpus: float = 0.0
    wait_s: float = 600.0
    cpus: int = 1

    def __post_init__(self) -> None:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise InputError(f"--gpus is {self.gpus}. Give a whole number, or a part of one GPU (0.5).")

    @property
    def needs(self) -> dict[str, float]:
        """What Ray sets aside for one replica or task."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}


def ended() -> Future[None]:
    """Return what is done when the Ray of this node, through which the process is `connected`, has ended."""
    return _ended


def library() -> ModuleType:
    """Return Ray. Raises `MissingExtraError` where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray would make a worker's environment anew by `uv run` where the command itself was begun so.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
    except ImportError:
        raise MissingExtraError("--ray", "ray", "ray") from None
    found: ModuleType = ray
    return found


@contextlib.contextmanager
def connected(place: Placement) -> Iterator[int]:
    """Connect to a cluster, or start one, and yield how many replicas or tasks it has room for together, >= 1.

    A cluster that this process is connected to already is used as it is, and left so.

    Args:
        place: its address, and what one of them needs.

    Raises:
        InputError: no Ray at the address, or no node has what one of them needs.
    """
    ray = library()
    mine = not ray.is_initialized()
    with contextlib.ExitStack() as stack:
        if mine:
            stack.callback(_shut, ray)
            with _own_signals(ray):
                _init(ray, place)
            _hushed(ray)
            stack.enter_context(_watched(ray))
        yield _room(ray, place)


def _shut(ray: ModuleType) -> None:
    with _own_signals(ray):
        ray.shutdown()


@contextlib.contextmanager
def _watched(ray: ModuleType) -> Iterator[None]:
    """Have `ended` done when the raylet of this node ends; where the system tells it to others than its parent."""
    global _ended
    raylet = _raylet(ray)
    if raylet is None:
        yield
        return
    _ended, over = Future[None](), threading.Event()

    def watch() -> None:
        looked = select.poll()
        looked.register(raylet, select.POLLIN)
        while not over.is_set():
            if looked.poll(200):
                _ended.set_result(None)
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        os.close(raylet)
        _ended = Future()


def _raylet(ray: ModuleType) -> int | None:
    """Return a descriptor of the raylet's process on this node; None where there is no such thing."""
    node = getattr(ray._private.worker, "_global_node", None)
    name = getattr(node, "raylet_socket_name", "")
    if not name or not hasattr(os, "pidfd_open"):
        return None
    wanted = f"--raylet_socket_name={name}".encode()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            program, *words = file.read_bytes().split(b"\0")
            if program.endswith(b"/raylet") and wanted in words:
                return os.pidfd_open(int(file.parent.name))
    return None


def _init(ray: ModuleType, place: Placement) -> None:
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": True}
    if place.address == HERE:
        # Replicas that wait for each other's CPUs would never begin.
        cpus = max(place.cpus * max(1, place.replicas), os.cpu_count() or 1)
        ray.init("local", include_dashboard=False, num_cpus=cpus, **quiet)
        return
    _reach(_begun(ray) if place.address == "auto" else place.address)
    try:
        ray.init(place.address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"No Ray at {place.address} ({why}). Start one ({START}), or leave the address out.") from None


def _hushed(ray: ModuleType) -> None:
    """Keep what Ray says of workers that died out of standard output, where it would stand between results.

    No setting of Ray's does so. limen tells what it lost itself.
    """
    worker: Any = getattr(ray._private, "worker", None)
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda data, ignore_prefix: None


def _begun(ray: ModuleType) -> str:
    """Return the address of the cluster that was begun last on this node; Ray keeps that of one that has ended, too."""
    read = getattr(ray._private.utils, "read_ray_address", lambda: None)
    found: str | None = os.environ.get("RAY_ADDRESS") or read()
    if not found:
        raise InputError(f"No Ray on this node. Start one ({START}), or leave the address out.")
    return found


def _reach(address: str) -> None:
    """Raise `InputError` where nothing listens at an address, at once: Ray itself would look for a minute."""
    if "://" in address:
        raise InputError(
            f"--ray {address}: limen runs on a node of the cluster, not through Ray's client. Give HOST:PORT of its "
            "head, or auto on one of its nodes."
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InputError(f"--ray {address} is no address. Give HOST:PORT, auto, or nothing for a Ray of this command.")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), REACH) as there:
            if not _speaks(there):
                raise OSError("what listens there is no Ray")
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"No Ray at {address} ({why}). Start one ({START}), or leave the address out.") from None


def _speaks(there: socket.socket) -> bool:
    """Say whether what listens speaks HTTP/2, as Ray's head does; whether behind TLS, too, is left to Ray."""
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return True
    with contextlib.suppress(OSError):
        there.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]))
        return there.recv(4)[3:] == bytes([SETTINGS])
    return False


def _room(ray: ModuleType, place: Placement) -> int:
    """Return how many replicas fit into the nodes that are alive."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = sum(
        int(min(node.get("CPU", 0) / place.cpus, node.get("GPU", 0) / place.gpus if place.gpus else float("inf")))
        for node in nodes
    )
    if room:
        return room
    where = "the Ray of this command" if place.address == HERE else f"the Ray at {place.address}"
    most = max((node.get("GPU", 0) for node in nodes), default=0)
    if place.gpus > most:
        raise InputError(
            f"--gpus {place.gpus:g}: no node of {where} has so many (the most: {most:g}). Give "
            "fewer, leave --gpus out, or add nodes with them (ray start --num-gpus=N)."
        )
    if place.cpus > 1:
        raise InputError(
            f"No node of {where} has {place.cpus} CPUs for a replica, which has as many threads as "
            "this command. Give it fewer (OMP_NUM_THREADS=N in front of limen), or add larger nodes."
        )
    raise InputError(
        f"{where[0].upper()}{where[1:]} has no CPU for a replica. Add a node to it: ray start --address=HOST:PORT."
    )


@contextlib.contextmanager
def _own_signals(ray: ModuleType) -> Iterator[None]:
    """Keep the handlers of signals that Ray replaces, and put back those that it replaced nonetheless."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not None]
    before = {number: signal.getsignal(number) for number in names}
    utils: Any = ray._private.utils
    theirs = getattr(utils, "set_sigterm_handler", None)
    try:
        utils.set_sigterm_handler = lambda handler: None  # SIGTERM may come while Ray is begun
        yield
    finally:
        utils.set_sigterm_handler = theirs
        for number, handler in before.items():
            signal.signal(number, handler)
