"""The page is for one person at this machine: what it answers, whom, and how `limen watch` begins and ends."""

import asyncio
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from limen.errors import InputError
from limen.study import Spec, Study
from limen.web import server
from tests.support.command import limen

OLD = Path(__file__).parents[1] / "data" / "run_schema_2"


class Watching:
    """`limen watch` in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        words = [sys.executable, "-m", "limen", "watch", *map(str, arguments)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        found = re.fullmatch(r"http://([\w.\[\]:]+):(\d+)/([\w-]{32})/", self.address)
        assert found, self.address
        self.port, self.token = int(found[2]), found[3]

    def ask(
        self, path: str | None = None, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {"Host": f"127.0.0.1:{self.port}"} | dict(headers or {})
        connection.putrequest(method, f"/{self.token}/state.json" if path is None else path, skip_host=True)
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse()

    def state(self) -> list[dict[str, Any]]:
        return list(json.loads(self.ask().read())["runs"])

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    run = Path(shutil.copytree(OLD, tmp_path_factory.mktemp("watched") / "old"))
    made = Watching(run, run.with_name("later"))
    yield made
    made.end()


def test_it_says_what_the_runs_are(watching: Watching) -> None:
    deadline = time.monotonic() + 30
    while (both := watching.state())[0]["state"] == "reading":
        assert time.monotonic() < deadline
    old, later = both
    assert (old["name"], old["state"], old["progress"]["done"]) == ("old", "finished", 2)
    assert (later["name"], later["state"]) == ("later", "absent")


def test_what_has_not_changed_is_not_sent_again(watching: Watching) -> None:
    first = watching.ask()
    first.read()
    tag = first.headers["ETag"]
    again = watching.ask(headers={"If-None-Match": tag})
    assert (again.status, again.read()) == (304, b"")
    assert abs(float(again.headers["X-Now"]) - time.time()) < 60
    assert watching.ask(headers={"If-None-Match": '"another"'}).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/state.json", "/x/state.json", "//state.json", "/{other}/", "/{other}/state.json"]
)
def test_nothing_is_said_without_the_token(watching: Watching, path: str) -> None:
    other = ("A" if watching.token[0] != "A" else "B") + watching.token[1:]
    answer = watching.ask(path.format(other=other))
    assert (answer.status, answer.read().decode()) == (404, server.ASK)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    ["nothing", "../watch.py", "%2e%2e/watch.py", "watch.html", "page.js/", "state.json/x", "..%2f..%2fetc/passwd"],
)
def test_nothing_else_is_served(watching: Watching, path: str) -> None:
    assert watching.ask(f"/{watching.token}/{path}").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"])
def test_it_only_looks(watching: Watching, method: str) -> None:
    assert watching.ask(method=method).status == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:9000"}, 200),  # the other end of a tunnel
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Host": "evil@127.0.0.1.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, 200),
        ({"Host": "localhost:9000", "Origin": "http://localhost:9001"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_names_that_other_sites_point_here_are_refused(
    watching: Watching, headers: dict[str, str], status: int
) -> None:
    answer = watching.ask(headers=headers)
    assert answer.status == status
    if status == 403:
        assert b'"runs"' not in answer.read()


def test_the_page_loads_nothing_from_elsewhere(watching: Watching) -> None:
    for name, kind in (("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript")):
        answer = watching.ask(f"/{watching.token}/{name}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert "http" not in answer.read().decode().replace("HTTP", "")
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Python" not in answer.headers["Server"]


def test_a_page_that_reads_slowly_keeps_nobody_waiting(watching: Watching) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", watching.port, timeout=30)
    connection.putrequest("GET", f"/{watching.token}/state.json")
    connection.endheaders()  # its answer is never read
    before = time.monotonic()
    assert watching.state()
    assert time.monotonic() - before < 10
    connection.close()


def test_it_waits_for_a_run_and_ends_quietly(tmp_path: Path) -> None:
    one = Watching(tmp_path / "run", "--port", 0)
    try:
        assert one.state()[0]["state"] == "absent"
        spec = Spec(images=("demo",), observers=("simulated",), distortions=("blur",), limit=2)
        Study.plan(spec).run(tmp_path / "run")
        deadline = time.monotonic() + 30
        while (told := one.state()[0])["state"] != "finished":
            assert time.monotonic() < deadline, told
        assert told["progress"]["done"] == told["progress"]["planned"] == 2
    finally:
        code, out, err = one.end()
    assert (code, out) == (0, "")
    assert err.splitlines()[0].startswith("From another machine: ssh -L ")
    assert err.splitlines()[1:] in ([], [""])


def test_a_signal_from_outside_says_so(tmp_path: Path) -> None:
    assert Watching(tmp_path / "run").end(signal.SIGTERM)[0] == 143


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org", ""])
def test_it_listens_to_no_other_machine(tmp_path: Path, host: str) -> None:
    done = limen("watch", tmp_path / "run", "--host", host, "--port", 9123)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "ssh -L 9123:127.0.0.1:9123" in done.stderr


def test_a_file_is_no_run_that_may_still_come(tmp_path: Path) -> None:
    (tmp_path / "supplement.zip").touch()
    done = limen("watch", tmp_path / "supplement.zip")
    assert done.returncode == 1
    assert done.stderr == (
        f"limen: {tmp_path / 'supplement.zip'} is a file, not a run directory. Give the --out of a `limen measure`.\n"
    )


def test_a_port_that_is_taken_is_told_in_one_line(watching: Watching, tmp_path: Path) -> None:
    done = limen("watch", tmp_path / "run", "--port", watching.port)
    assert done.returncode == 1
    assert done.stderr.startswith(f"limen: Port {watching.port} cannot be had")
    assert done.stderr.count("\n") == 1
    with pytest.raises(InputError, match="cannot be had"):
        asyncio.run(server.serve(server.application("t", {}), "127.0.0.1", watching.port, print))


def test_a_browser_is_opened_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def once(made: object, host: str, port: int, ready: Any) -> None:
        ready(4321)

    opened: list[str] = []
    monkeypatch.setattr(server, "serve", once)
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
    done = limen("watch", tmp_path / "run", "--open", "--host", "::1")
    assert opened == [done.stdout.strip()]
    assert opened[0].startswith("http://[::1]:4321/")
    assert "open the address yourself" in done.stderr
