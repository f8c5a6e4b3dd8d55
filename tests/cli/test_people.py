"""`limen people` as its owner runs it: links, what it says beforehand, and a kill in the middle."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from limen.analysis import analyse
from limen.cli import main
from limen.errors import InputError
from limen.people.lab import withdraw
from limen.store import Store
from tests.support.command import limen
from tests.support.taking_part import Page, notices

STUDY = """
images = ["demo"]
distortions = ["blur", "contrast"]
limit = 3
questions = ["direct-implicit"]
observers = ["simulated"]

[people]
title = "Seeing differences"
consent_file = "consent.txt"
practice = 2
"""


class Serving:
    """`limen people` in a process of its own."""

    def __init__(self, file: Path, *more: str) -> None:
        words = [sys.executable, "-m", "limen", "people", str(file), "--out", str(file.parent / "run"), *more]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(2)]
        found = [re.search(r"(http://127\.0\.0\.1:\d+)/([\w-]{32})/", line) for line in lines]
        assert all(found), lines
        (self.origin, self.invitation), (_, self.owner) = (one.groups() for one in found if one)

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "consent.txt").write_text("You look at pictures.\n\nYou may stop at any time.\n")
    made = tmp_path / "study.toml"
    made.write_text(STUDY)
    return made


def test_two_people_and_a_server_that_is_killed_and_started_again(file: Path) -> None:
    async def work() -> None:
        first = Serving(file)
        tokens: dict[str, str] = {}
        async with aiohttp.ClientSession() as session:

            async def begin(alias: str) -> None:
                invited = Page(session, first.origin, first.invitation)
                told = await invited.post("join", {"alias": alias, "agreed": True})
                tokens[alias] = told["address"].strip("/")
                page = Page(session, first.origin, tokens[alias])
                await page.begin()
                for _ in range(12):
                    await page.go_on(notices(5.0), most=1)

            await asyncio.gather(begin("a"), begin("b"))
            first.process.kill()
            first.process.communicate(timeout=60)
            again = await asyncio.to_thread(Serving, file)
            assert (again.origin, again.invitation, again.owner) == (first.origin, first.invitation, first.owner)
            pages = [Page(session, again.origin, token, tab="tab") for token in tokens.values()]
            ends = await asyncio.gather(*(page.go_on(notices(5.0)) for page in pages))
            assert [end["stage"] for end in ends] == ["done", "done"]
            async with session.get(f"{again.origin}/{again.owner}/state.json") as reply:
                assert [one["stage"] for one in (await reply.json())["participants"]] == ["done", "done"]
            code, err = await asyncio.to_thread(again.end)
            assert code == 0  # as of `limen watch`: there is nothing that Ctrl-C leaves undone
            assert "Traceback" not in err

    asyncio.run(asyncio.wait_for(work(), 180))
    with Store.open(file.parent / "run") as store:
        shown = Counter(one.key for one in store.presentations())
        analysis = analyse(store)
        keys = {trial.key for trial in store.trials() if trial.key}
    assert set(shown) == keys
    assert max(shown.values()) == 1
    assert len(analysis.outcomes) == 12
    assert all(outcome.status.value == "complete" for outcome in analysis.outcomes)
    means = {(row.observer, row.distortion): row.mean for row in analysis.jnds}
    assert means["person:a", "blur"] == means["person:b", "blur"]


def test_what_it_says_beforehand(file: Path) -> None:
    serving = Serving(file, "--host", "127.0.0.1")
    _, err = serving.end()
    assert re.search(r"Each participant: 6 series, about \d+ questions, \d+ minutes", err)
    assert "links.json, for you alone" in err
    assert "no consent text" not in err
    if os.name == "posix":
        assert (file.parent / "run/links.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("consent_file = 'gone.txt'", "gone.txt: the consent text cannot be read"),
        ("presentation = 'sidewise'", "sidewise"), ("confidance = ['a']", "confidence"), ("catch = 2", "catch"),
        ("attention = { share = 7 }", "share"),
        ("presentation = 'flicker'\nshow_ms = 100", "two pictures take 500 ms"),
        ("consent = 'a'\nconsent_file = 'consent.txt'", "both"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_told_in_one_line(file: Path, change: str, said: str) -> None:
    file.write_text(STUDY.split("[people]")[0] + "[people]\n" + change + "\n")
    done = limen("people", str(file), "--out", str(file.parent / "run"))
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") <= 2
    assert not (file.parent / "run").exists()


def test_measure_takes_the_same_study_file(file: Path) -> None:
    done = limen("measure", str(file), "--out", str(file.parent / "model"), "--no-exam")
    assert done.returncode == 0, done.stderr


def test_who_withdraws_leaves_nothing_behind(file: Path) -> None:
    out = file.parent / "run"

    async def work() -> None:
        serving = Serving(file)
        async with aiohttp.ClientSession() as session:
            for alias in ("stays", "leaves"):
                told = await Page(session, serving.origin, serving.invitation).post(
                    "join", {"alias": alias, "agreed": True}
                )
                page = Page(session, serving.origin, told["address"].strip("/"))
                await page.begin()
                await page.go_on(notices(5.0))
        await asyncio.to_thread(serving.end)

    asyncio.run(asyncio.wait_for(work(), 180))
    with Store.open(out) as store:
        before = {trial.key: trial for trial in store.trials("person:stays")}
    done = CliRunner().invoke(main, ["people", str(file), "--out", str(out), "--withdraw", "leaves"], input="y\n")
    assert done.exit_code == 0, done.output
    assert re.search(r"leaves is taken out of .*: \d+ answers", done.output)
    with Store.open(out) as store:
        analysis = analyse(store)
        assert {trial.key: trial for trial in store.trials()} == before
        assert {one.session for one in store.presentations()} == {"person:stays/1"}
    assert {outcome.observer for outcome in analysis.outcomes} == {"person:stays"}
    assert not [path for path in out.iterdir() if b"leaves" in path.read_bytes()]
    with pytest.raises(InputError, match="'leaves' does not take part"):
        withdraw(out, "leaves")
    again = CliRunner().invoke(main, ["people", str(file), "--out", str(out), "--withdraw", "stays"], input="n\n")
    assert again.exit_code == 1
    with Store.open(out) as store:
        assert "person:stays" in store.manifest["observers"]


def test_questions_without_catch_trials_are_told_when_the_study_begins(file: Path) -> None:
    own = '[{ name = "places", text = "In how many places do they differ?", form = "number", notices = ["1"] }]'
    file.write_text(STUDY.replace('["direct-implicit"]', own))
    _, err = Serving(file).end()
    assert "No catch trials and no practice of places: the attention rule 'catch' judges nobody." in err
