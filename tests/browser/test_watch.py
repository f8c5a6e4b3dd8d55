"""The watch page in Chromium: runs under way and after, at three widths; hostile texts; axe-core."""

import asyncio
import dataclasses
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limen.analysis import SeriesStatus, analyse
from limen.store import Store
from limen.study import Study
from tests.browser.conftest import AXE
from tests.report.test_viewer import Scripted, images, spec
from tests.web.test_server import OLD, Watching

pytestmark = pytest.mark.browser

WIDTHS = {"desk": (1440, 900), "small": (1024, 768), "phone": (390, 844)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs: one with hostile names and answers, one that was left open, one of schema 2, one that is broken."""
    folder = tmp_path_factory.mktemp("runs")
    names = ("<script>alert(3)<script>.png", "\u202e'\"&lt;.png", "x" * 200 + ".png")
    photos = images(folder / "in", *names, height=64, width=64)
    plan = Study.plan(spec(photos, distortions=("contrast", "mask")))
    dataclasses.replace(plan, observers=(Scripted(),)).run(folder / "hostile")
    dataclasses.replace(plan, observers=(Scripted("quiet", silent=True),)).run(folder / "open")
    shutil.copytree(OLD, folder / "old")
    (folder / "broken").mkdir()
    (folder / "broken" / "manifest.json").write_text("{")
    return folder


@pytest.fixture(scope="module")
def watched(runs: Path) -> Iterator[Watching]:
    made = Watching(*(runs / name for name in ("hostile", "open", "old", "broken", "later")))
    yield made
    made.end()


@pytest.fixture
def page(browser: Any, watched: Watching) -> Iterator[Any]:
    """Open a tab of the page; at the end it has complained of nothing, and asked nobody else."""
    troubles: list[str] = []
    contexts = []

    def go(tab: int, width: str = "desk", **settings: Any) -> Any:
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        contexts.append(browser.new_context(viewport=size, **settings))
        made = contexts[-1].new_page()
        made.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
        made.on("pageerror", lambda error: troubles.append(str(error)))
        made.on("dialog", lambda dialog: troubles.append(dialog.message) or dialog.dismiss())
        made.on("request", lambda one: one.url.startswith((watched.address, "data:")) or troubles.append(one.url))
        made.goto(f"{watched.address}#{tab}")
        made.wait_for_selector("#state-word:not(:text-is('…')):not(:text-is('Reading'))")
        return made

    yield go
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_and_nothing_juts_out(page: Any, width: str, scheme: str) -> None:
    for tab, word in ((1, "Finished"), (2, "Stopped"), (3, "Finished"), (4, "Cannot be read"), (5, "Not there yet")):
        made = page(tab, width, color_scheme=scheme, bypass_csp=True)
        assert made.inner_text("#state-word") == word
        made.evaluate(AXE.read_text(encoding="utf-8"))
        found = made.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(fault["id"], [node["target"] for node in fault["nodes"]][:3]) for fault in found["violations"]] == []
        assert made.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]


def test_what_it_shows(page: Any, runs: Path) -> None:
    with Store.open(runs / "open") as store:
        left = sum(one.status is SeriesStatus.UNFINISHED for one in analyse(store).outcomes)
    made = page(1)
    assert made.inner_text("#far") == "6 of 6 series done"
    assert made.locator("#thresholds tr").count() == 2
    assert made.locator("#answers tr").count() == 20
    answers = made.inner_text("#answers")  # of which series the last ones are hangs on how fast each went
    assert [name for name in ("<script>alert(3)<script>.png", "'\"&lt;.png") if name in answers]
    assert "</script><script>alert(1)</script>" in answers
    assert "limen report" in made.inner_text("#state-more")
    assert made.locator("#runs a").count() == 5
    made.click("#runs a >> nth=1")
    assert made.inner_text("#name") == "open"
    assert 1 < left <= 6
    assert f"with {left} series open" in made.inner_text("#state-more")
    assert made.locator("#failures tr").count() == 1
    made.click("#runs a >> nth=2")
    assert made.inner_text("#far") == "2 series done so far"
    assert not made.is_visible("#bar")


def test_it_goes_along_with_a_run_and_says_when_nobody_answers(browser: Any, tmp_path: Path) -> None:
    photos = images(tmp_path / "in", "a.png", "b.png", "c.png", height=64, width=64)
    watching = Watching(tmp_path / "run")
    context = browser.new_context()
    made = context.new_page()
    statuses: list[int] = []
    made.on("response", lambda answer: statuses.append(answer.status))
    made.goto(watching.address)
    made.wait_for_selector("#state-word:text-is('Not there yet')")
    go_on = threading.Event()

    class Held(Scripted):
        async def answer(self, query: Any) -> Any:
            while self.held and not go_on.is_set():
                await asyncio.sleep(0.05)
            self.count += 1
            self.held = self.count == 12
            return await super().answer(query)

        count, held = 0, False

    plan = dataclasses.replace(Study.plan(spec(photos, distortions=("contrast",))), observers=(Held(),))
    thread = threading.Thread(target=plan.run, args=(tmp_path / "run",))
    thread.start()
    try:
        made.wait_for_selector("#state-word:text-is('Running')")
        made.wait_for_selector("#answers tr >> nth=10")
        assert "of 3 series done" in made.inner_text("#far")
    finally:
        go_on.set()
        thread.join()
    made.wait_for_selector("#state-word:text-is('Finished')")
    assert made.inner_text("#far") == "3 of 3 series done"
    made.wait_for_timeout(5000)
    assert 304 in statuses, "what has not changed is not sent again"
    watching.end()
    made.wait_for_selector("#trouble:not([hidden])", timeout=20_000)
    assert "does not answer any more" in made.inner_text("#trouble")
    assert made.inner_text("#far") == "3 of 3 series done"
    context.close()
