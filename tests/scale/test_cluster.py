"""A Ray of one command, and addresses where there is none; in this process, before it is connected to another."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limen.errors import InputError
from limen.scale import cluster
from limen.scale.cluster import HERE, Placement

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True)
def _unconnected() -> None:
    assert not cluster.library().is_initialized(), "this module's tests come before those that need a cluster"


def test_a_ray_of_this_command_keeps_our_handlers_of_signals_and_ends_with_it() -> None:
    ray = cluster.library()
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with cluster.connected(Placement(HERE, replicas=3)) as room:
        assert room == max(3, int(ray.cluster_resources()["CPU"]))
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        with cluster.connected(Placement(HERE)) as again:  # what is connected to already is used, and left
            assert again == room
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_a_ray_of_this_command_has_not() -> None:
    told = r"--gpus 2: no node of the Ray of this command has so many \(the most: 0\). Give fewer"
    with pytest.raises(InputError, match=told), cluster.connected(Placement(gpus=2)):
        pass
    assert not cluster.library().is_initialized()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:1", "No Ray at 127.0.0.1:1"),
        ("[::1]:1", r"No Ray at \[::1\]:1"),
        ("ray://127.0.0.1:10001", "not through Ray's client"),
        ("study.toml", "is no address"),
        ("host:0", "is no address"),
        ("host:66000", "is no address"),
        (":6379", "is no address"),
        ("no-such-host.invalid:6379", "No Ray at no-such-host.invalid:6379"),
    ],
)
def test_an_address_where_there_is_no_ray(address: str, told: str) -> None:
    began = time.monotonic()
    with pytest.raises(InputError, match=told), cluster.connected(Placement(address)):
        pass
    assert time.monotonic() - began < 20


def test_what_listens_and_is_no_ray_is_told_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        told = f"No Ray at {address} .what listens there is no Ray.. Start one"
        began = time.monotonic()
        with pytest.raises(InputError, match=told), cluster.connected(Placement(address)):
            pass
    assert time.monotonic() - began < 20
    assert capfd.readouterr() == ("", "")


# --- a Ray of the command alone that ends before it ---


def raylet_of(driver: int) -> int | None:
    """Return the raylet that a process began."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rpartition(")")[2].split()[1])
            program = (file.parent / "cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            continue
        if parent == driver and program.endswith(b"/raylet"):
            return int(file.parent.name)
    return None


@pytest.mark.parametrize(
    "words",
    [
        ("measure", "--images", "demo", "--distortion", "blur,jpeg", "--observer", "simulated", "-O", "latency=0.5"),
        (
            "dataset", "build", "vpa-jnd", "--part", "blur,jpeg,noise", "--photographs", "demo", "--format",
            "webdataset", "--shard-stimuli", "20",
        ),
    ],
    ids=["measure", "dataset"],
)  # fmt: skip
def test_a_ray_of_this_command_that_is_killed_is_told_at_once(words: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = [sys.executable, "-m", "limen", *words, "--out", str(out), "--ray", "--replicas", "2"]
    driver = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    begun, until = False, time.monotonic() + 120
    while not begun and time.monotonic() < until:
        begun = any(out.glob("*-of-*.json")) or (out / "trials.db").exists()
        time.sleep(0.02)
    raylet = raylet_of(driver.pid)
    assert begun
    assert raylet is not None
    os.kill(raylet, signal.SIGKILL)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert "Ray has ended on this node (its raylet was killed, or ended by itself)" in said.splitlines()[-1]
    assert said.splitlines()[-1].endswith("he same command goes on.")
    assert not re.search("one is waited for|recover", said)


def test_a_cluster_that_has_ended_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # as Ray finds that of the cluster begun last
    with pytest.raises(InputError, match="No Ray at 127.0.0.1:1"), cluster.connected(Placement("auto")):
        pass
