"""The scripts of the page on Slurm, as they stand there: an array that is stopped, requeued, and merged."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from limen.image import png
from limen.store import Store
from limen.study import Spec, Study
from limen.study.shard import Shard
from limen.testing import photograph
from tests.support.command import limen

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "slurm.md"
SHARDS = 3
FLAGS = 'observers = [{ name = "simulated", latency = %s, concurrency = 4 }]\ndistortions = ["blur", "noise"]\n'


def script(name: str) -> str:
    (body,) = re.findall(rf"^## [^\n]*{re.escape(name)}\n\n```bash\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return str(body)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A cluster's front end: the scripts, a study, and in bin what Slurm and limen are there."""
    (tmp_path / "photos").mkdir()
    for name in "abcdefgh":
        (tmp_path / "photos" / f"{name}.png").write_bytes(png(photograph(name, 48, 64)))
    (tmp_path / "study.toml").write_text('images = ["photos"]\nexam = false\n' + FLAGS % "0.05")
    for name in ("shard.sh", "merge.sh"):
        (tmp_path / name).write_text(script(name))
    for name, does in (
        ("limen", f'exec "{sys.executable}" -m limen "$@"'),
        ("srun", 'exec "$@"'),
        ("scontrol", 'echo "$@" >> scontrol.txt'),
    ):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{does}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def of_task(site: Path, number: int) -> Mapping[str, str]:
    array = {"ARRAY_TASK_ID": number, "ARRAY_TASK_COUNT": SHARDS, "ARRAY_JOB_ID": 4711, "CPUS_PER_TASK": 1}
    path = {"PATH": f"{site / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    return os.environ | path | {f"SLURM_{name}": str(value) for name, value in array.items()}


def submit(site: Path, name: str, number: int = 1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", name], cwd=site, env=of_task(site, number), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def answers(run: Path) -> int:
    with Store.open(run) as store:
        return sum(count for (_, outcome), count in store.attempts().items() if outcome == "ok")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Slurm runs on Linux")
@pytest.mark.parametrize("to", ["script", "step"])
def test_an_array_is_stopped_requeued_and_merged(site: Path, to: str) -> None:
    spec = Spec(images=(str(site / "photos"),), observers=("simulated",), distortions=("blur",))
    series = Study.plan(spec).series
    counts = [len(Shard(number, SHARDS).part(series)) for number in range(1, SHARDS + 1)]
    largest = 1 + counts.index(max(counts))
    job = submit(site, "shard.sh", largest)
    run = site / "runs" / "study" / f"shard-{largest}"
    deadline = time.monotonic() + 60
    while not ((run / "trials.count").exists() and '"attempts":0' not in (run / "trials.count").read_text()):
        assert job.poll() is None, job.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if to == "script":  # the end of the time: B:TERM
        job.send_signal(signal.SIGTERM)
    else:  # pre-emption: the step alone
        (step,) = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        os.kill(int(step), signal.SIGTERM)
    said, _ = job.communicate(timeout=60)
    assert job.returncode == 143, said
    assert "limen: stopped by SIGTERM. What was answered is kept: the same command goes on from there." in said
    assert (site / "scontrol.txt").read_text() == f"requeue 4711_{largest}\n"
    first = answers(run)
    assert first > 0
    if to == "step":
        return

    for number in range(1, SHARDS + 1):  # the requeued job among them
        job = submit(site, "shard.sh", number)
        said, _ = job.communicate(timeout=120)
        assert job.returncode == 0, said
        if number == largest:
            assert f"{answers(run) - first:,} questions asked" in said
            assert answers(run) > first
    assert (site / "scontrol.txt").read_text().count("\n") == 1

    job = submit(site, "merge.sh")
    said, _ = job.communicate(timeout=120)
    assert job.returncode == 0, said
    assert (site / "runs" / "study" / "report.html").stat().st_size > 100_000
    (site / "study.toml").write_text('images = ["photos"]\nexam = false\n' + FLAGS % "0")
    alone = limen("measure", site / "study.toml", "--out", site / "alone")
    again = limen("measure", site / "study.toml", "--out", site / "runs" / "study" / "whole")
    assert "0 questions asked" in again.stderr
    assert again.stdout == alone.stdout
    assert answers(site / "runs" / "study" / "whole") == answers(site / "alone")


def test_bash_understands_the_scripts(site: Path) -> None:
    for name in ("shard.sh", "merge.sh"):
        done = subprocess.run(["bash", "-n", name], cwd=site, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        for line in (site / name).read_text().splitlines():
            if line.startswith("#SBATCH"):
                assert re.fullmatch(r"#SBATCH( --[a-z-]+(=\S+)?)+", line)


def test_a_job_that_leaves_series_open_fails_and_is_not_requeued(site: Path) -> None:
    (site / "study.toml").write_text(
        'images = ["photos"]\nexam = false\ndistortions = ["blur"]\nobservers = [{ name = "recorded:runs/nowhere" }]\n'
    )
    job = submit(site, "shard.sh")
    said, _ = job.communicate(timeout=60)
    assert job.returncode == 1, said
    assert not (site / "scontrol.txt").exists()
