"""A Ray of one command, and addresses where there is none; in this process, before it is connected to another."""

import signal
import time

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


def test_a_cluster_that_has_ended_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # as Ray finds that of the cluster begun last
    with pytest.raises(InputError, match="No Ray at 127.0.0.1:1"), cluster.connected(Placement("auto")):
        pass
