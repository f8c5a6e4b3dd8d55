"""A whole run against an endpoint that goes wrong: exit codes, open series, resuming, and the key nowhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from limen.analysis import analyse
from limen.store import Store
from tests.support.command import limen
from tests.support.endpoint import Endpoint, Request, body, compare, completion, empty_choices, html, raw, say, status

KEY = "sk-very-secret-0123456789"


def words(server: Endpoint, photos: Path, out: Path, *more: str) -> list[str]:
    return [
        "measure", "--images", str(photos), "--distortion", "noise,contrast", "--observer", "openai:toy", "--base-url",
        server.base_url, "-O", "label=toy", "-O", "backoff_s=0.01", "-O", "retries=2", "-O", "timeout_s=2",
        "--out", str(out), *more,
    ]  # fmt: skip


def measure(
    server: Endpoint, photos: Path, out: Path, *more: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return limen(*words(server, photos, out, *more), environment=environment)


def thresholds(out: Path) -> list[object]:
    with Store.open(out) as store:
        return [(o.series.id, o.status, o.thresholds) for o in analyse(store).outcomes]


@pytest.mark.slow
def test_what_fails_stays_open_and_is_finished_later(tmp_path: Path, photos: Path) -> None:
    with Endpoint(threshold=8.0) as calm:
        assert measure(calm, photos, tmp_path / "calm", "--no-exam").returncode == 0

    calls = 0

    async def failing_now_and_then(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        faults = (status(500), status(429), html(), raw(b'{"choices": ['), empty_choices())
        wrong = faults[calls // 7 % len(faults)] if calls % 7 < 3 else compare
        return await wrong(server, seen, request)

    with Endpoint(threshold=8.0, behaviour=failing_now_and_then) as server:
        done = measure(server, photos, tmp_path / "run", "--no-exam")
        assert done.returncode == 2, done.stderr
        assert re.search(r"unfinished: (\d+ series of )?openai:toy", done.stderr)
        assert "Run the same command again" in done.stderr
        assert "1st just noticeable difference" in done.stdout
        server.behaviour = compare
        assert measure(server, photos, tmp_path / "run", "--no-exam").returncode == 0
    assert thresholds(tmp_path / "run") == thresholds(tmp_path / "calm")
    with Store.open(tmp_path / "run") as store:
        failed = {outcome for (_, outcome), count in store.attempts().items() if outcome != "ok" and count}
    assert len(failed) >= 3


def test_refusals_and_cut_off_answers_are_answers(tmp_path: Path, photos: Path) -> None:
    with Endpoint(behaviour=say("I'm sorry, I can't help with that.", "content_filter")) as server:
        refused = measure(server, photos, tmp_path / "run", "--limit", "1")
        assert refused.returncode == 1  # the exam tries the study's question, and no answer to it can be read
        assert "I'm sorry" in refused.stderr
        assert measure(server, photos, tmp_path / "run", "--limit", "1", "--no-exam").returncode == 0
    with Store.open(tmp_path / "run") as store:
        for row in analyse(store).answers:
            assert row.unreadable.value == 1.0
            assert row.deficiency.value == 1.0


def test_a_wrong_key_stops_the_run_with_one_line(tmp_path: Path, photos: Path) -> None:
    with Endpoint(behaviour=status(401, "Incorrect API key")) as server:
        done = measure(server, photos, tmp_path / "run", OPENAI_API_KEY=KEY)
        assert done.returncode == 1
        assert len([line for line in done.stderr.splitlines() if line.startswith("limen: ")]) == 1
        assert len(server.requests) < 40


@pytest.mark.slow
def test_the_key_is_nowhere(tmp_path: Path, photos: Path) -> None:
    async def telling(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        if len(server.requests) % 3:
            return await compare(server, seen, request)
        return await body({"error": {"message": f"bad request from {request.headers['Authorization']}"}}, 500)(
            server, seen, request
        )

    with Endpoint(threshold=8.0, behaviour=telling) as server:
        done = subprocess.run(  # all that a process of its own says, whoever in it says it
            [sys.executable, "-m", "limen", *words(server, photos, tmp_path / "run")],
            capture_output=True, text=True, check=False, env=os.environ | {"OPENAI_API_KEY": KEY},
        )  # fmt: skip
        assert any(request.headers["Authorization"] == f"Bearer {KEY}" for request in server.requests)
        page = str(tmp_path / "r.html")
        report = limen("report", tmp_path / "run", "--out", page, environment={"OPENAI_API_KEY": KEY})
        assert report.returncode == 0, report.stderr
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"trials.db", "manifest.json", "r.html"} <= {file.name for file in written}
    for content in [
        done.stdout.encode(),
        done.stderr.encode(),
        report.stdout.encode(),
        *(f.read_bytes() for f in written),
    ]:
        assert KEY.encode() not in content
        assert KEY[3:].encode() not in content


def test_open_series_are_grouped_by_cause(tmp_path: Path, photos: Path) -> None:
    async def failing_on_noise(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        if "noise" in seen.text:
            return await status(429, f"Slow down, request {len(server.requests)}.")(server, seen, request)
        return await compare(server, seen, request)

    with Endpoint(threshold=8.0, behaviour=failing_on_noise) as server:
        done = measure(server, photos, tmp_path / "run", "--no-exam")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("unfinished")]
    assert line.startswith("unfinished: 4 series of openai:toy, noise: rate-limited: ")
    assert "Slow down" in line


def test_one_model_behind_two_hosts_is_measured_in_one_study(tmp_path: Path, photos: Path) -> None:
    with Endpoint(threshold=8.0) as one, Endpoint(threshold=12.0) as other:
        tables = "".join(
            f'[[observers]]\nname = "openai:toy"\nbase_url = "{server.base_url}"\nlabel = "{label}"\n'
            for server, label in ((one, "a"), (other, "b"))
        )
        study = tmp_path / "study.toml"
        study.write_text(f'images = ["{photos}"]\ndistortions = ["noise"]\nlimit = 1\n{tables}')
        done = limen("measure", study, "--wait-for-server", 5, "--no-exam", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    with Store.open(tmp_path / "run") as store:
        assert set(store.manifest["observers"]) == {"openai:toy@a", "openai:toy@b"}


def test_a_secret_said_back_in_an_answer_is_nowhere(tmp_path: Path, photos: Path) -> None:
    async def telling(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        text = f"<yes> You are {request.headers['x-pass']}."
        return await body({**completion(text), "model": request.headers["x-pass"]})(server, seen, request)

    with Endpoint(behaviour=telling) as server:
        headers = ("-O", 'headers={"x-pass": "env:PASS"}', "--limit", "1", "--json")
        done = measure(server, photos, tmp_path / "run", *headers, PASS="a-pass-of-mine-7741")
    assert done.returncode in (0, 1), done.stderr
    for content in (done.stdout, done.stderr, *(f.read_bytes().decode("latin-1") for f in tmp_path.rglob("*.*"))):
        assert "of-mine-7741" not in content
