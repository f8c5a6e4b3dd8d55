"""A Ray cluster: connected to, or started in this machine for one command; what there is of it.

Ray is told to send no usage statistics. Its own handlers of signals are taken away again: a command of limen that is
stopped keeps what is paid for (`limen.stopping`), which Ray's would prevent.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from limen.errors import InputError, MissingExtraError

HERE = "here"  # address of a Ray that one command starts for itself
REACH = 5.0  # seconds in which an address must answer
START = "ray start --head --port=6379 on the first node, ray start --address=HOST:6379 on the others"


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
    if mine:
        with _own_signals():
            _init(ray, place)
        _hushed(ray)
    try:
        yield _room(ray, place)
    finally:
        if mine:
            with _own_signals():
                ray.shutdown()


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
        socket.create_connection((host.strip("[]"), int(port)), REACH).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"No Ray at {address} ({why}). Start one ({START}), or leave the address out.") from None


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
def _own_signals() -> Iterator[None]:
    """Put back the handlers of signals that Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not None]
    before = {number: signal.getsignal(number) for number in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
