"""kill -9 with 64 calls in flight, six times: at most those are paid again, and the result is the same."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from limen.analysis import analyse
from limen.image import png
from limen.store import Store
from limen.testing import photograph
from tests.support.endpoint import Endpoint

KILLS, IN_FLIGHT = 6, 64


def command(server: Endpoint, photos: Path, out: Path) -> list[str]:
    return [
        sys.executable, "-m", "limen", "measure", "--images", str(photos),
        "--distortion", "noise,brightness,contrast,blur,jpeg",
        "--observer", "openai:toy", "--base-url", server.base_url, "-O", f"concurrency={IN_FLIGHT}", "-O", "label=toy",
        "--orders", "2", "--no-exam", "--out", str(out),
    ]  # fmt: skip


def found(out: Path) -> list[object]:
    with Store.open(out) as store:
        outcomes = analyse(store).outcomes
        trials = [(t.series, t.reference, t.level, t.key, t.answer.text if t.answer else "") for t in store.trials()]
    return [[(o.series.id, o.status, o.thresholds) for o in outcomes], trials]


@pytest.mark.slow
def test_killed_six_times(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(13):  # five series each: a few more than can be in flight
        (photos / f"{i}.png").write_bytes(png(photograph(str(i), 48, 48)))

    with Endpoint(threshold=8.0) as calm:
        subprocess.run(command(calm, photos, tmp_path / "calm"), check=True, capture_output=True)
        whole = len(calm.requests)

    with Endpoint(threshold=8.0, latency=0.05) as server:
        for kill in range(1, KILLS + 1):
            client = subprocess.Popen(
                command(server, photos, tmp_path / "run"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            deadline = time.monotonic() + 60
            while len(server.requests) < kill * (whole + KILLS * IN_FLIGHT // 2) // (KILLS + 2):
                assert client.poll() is None, "the run ended before it was killed"
                assert time.monotonic() < deadline, "the run hangs"
                time.sleep(0.005)
            client.send_signal(signal.SIGKILL)
            client.wait()
        done = subprocess.run(command(server, photos, tmp_path / "run"), check=True, capture_output=True, text=True)
        paid = Counter(request.body for request in server.requests)

    assert server.most_in_flight > IN_FLIGHT // 2
    assert len(paid) == whole
    assert whole < paid.total() <= whole + KILLS * IN_FLIGHT
    assert "answers replayed" in done.stderr
    assert found(tmp_path / "run") == found(tmp_path / "calm")
    answers = sqlite3.connect(tmp_path / "run" / "trials.db").execute("SELECT COUNT(*) FROM answer").fetchone()
    assert answers == (whole,)
