"""The demo model served by vLLM on the CPU: what limen finds of it there is what it finds without a server.

Three ways to one model: `demo` (ONNX, in this process), `local:` (transformers, in this process), and `openai:` at a
vLLM that is killed in the middle and started again. Started by `make test-vllm`, which makes vLLM's environment.
"""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limen.analysis import analyse
from limen.observers.demo import FOLDER
from limen.preflight import exam
from limen.store import Store
from tests.support.served import Served

pytestmark = pytest.mark.vllm

NAME = "limen-demo"
SERIES = ["--images", "demo", "--limit", "6", "--distortion", "blur,noise,brightness,qr,banding", "--orders", "2"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Start vLLM with the demo model, as docs/tutorials/quickstart.md says."""
    home = tmp_path_factory.mktemp("vllm")
    command = [
        os.environ.get("VLLM", "vllm"), "serve", str(FOLDER), "--served-model-name", NAME, "--enforce-eager",
        "--dtype", "float32", "--host", "127.0.0.1", "--port", "{port}",
    ]  # fmt: skip
    quiet = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    with Served(command, home / "log", quiet) as running:
        yield running


def measure(out: Path, observer: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "limen", "measure", *SERIES, "--observer", observer, *more, "--out", str(out)]


def found(out: Path) -> tuple[dict[str, Any], int]:
    """Return how each series ended, with its JNDs, and how many questions there were."""
    with Store.open(out) as store:
        outcomes = analyse(store).outcomes
        asked = sum(1 for _ in store.trials())
    ended = {o.series.id: (o.status, o.thresholds) for o in outcomes}
    return ended, asked


def answers(out: Path) -> int:
    """Return how many answers a run holds by now."""
    try:
        with sqlite3.connect(f"file:{out / 'trials.db'}?mode=ro", uri=True) as base:
            return int(base.execute("SELECT COUNT(*) FROM answer").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_the_exam_is_passed_with_what_is_the_default(server: Served) -> None:
    held = exam.examine(f"openai:{NAME}", {"base_url": server.base_url})
    assert held.fit, held.complaint
    assert held.answered == len(held.asked)


def test_demo_local_and_vllm_find_the_same_with_the_server_killed_in_the_middle(server: Served, tmp_path: Path) -> None:
    for name, observer in (("demo", "demo"), ("local", f"local:{FOLDER}")):
        subprocess.run(measure(tmp_path / name, observer), check=True, capture_output=True)
    wanted = found(tmp_path / "demo")
    assert len(wanted[0]) == 30
    assert found(tmp_path / "local") == wanted

    run = subprocess.Popen(
        measure(tmp_path / "vllm", f"openai:{NAME}", "--base-url", server.base_url),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while answers(tmp_path / "vllm") < answers(tmp_path / "demo") // 3:
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    server.kill()
    server.start()
    assert run.poll() is None, "the run was over before the server was back"
    said, complained = run.communicate(timeout=900)
    assert run.returncode == 0, complained
    assert found(tmp_path / "vllm") == wanted, said
