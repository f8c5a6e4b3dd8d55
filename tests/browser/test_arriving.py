"""The page in Chromium while it still arrives, or was cut off: what is there works, what is not says so."""

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from limen.report import html as layout
from tests.browser.conftest import DESK, until
from tests.report.test_viewer import write

pytestmark = pytest.mark.browser

TALKS, PICTURES = ' class="look-talks">', ' class="look-pictures">'
SECOND = "#view/o=0&d=1&r=2&l=9&m=side"


@pytest.fixture(scope="module")
def page_file(site: Path) -> Path:
    """A page whose pictures come in many blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "BLOCK", 20_000)
        write(site / "run", site / "arriving.html")
    return site / "arriving.html"


def within(content: bytes, kind: str, number: int) -> int:
    """Return a place in the middle of a block."""
    start = [found.end() for found in re.finditer(kind.encode(), content)][number]
    return (start + content.index(b"</script>", start)) // 2


@contextmanager
def held(browser: Any, file: Path, kind: str, number: int, fragment: str = "") -> Iterator[tuple[Any, threading.Event]]:
    """Open a page of which all but the rest from the middle of a block has come; the event lets the rest go."""
    content = file.read_bytes()
    at, release = within(content, kind, number), threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:at])
            self.wfile.flush()
            release.wait(60)
            self.wfile.write(content[at:])

        def log_message(self, *_: object) -> None: ...

    troubles: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context(**DESK)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        try:
            page.goto(f"http://127.0.0.1:{server.server_port}/{fragment}", wait_until="commit")
            yield page, release
            assert troubles == []
        finally:
            release.set()
            context.close()
            server.shutdown()


def shown(page: Any, name: str) -> str:
    return str(page.text_content(f"#look-{name}"))


def test_the_page_answers_before_its_pictures_have_all_come(browser: Any, page_file: Path) -> None:
    with held(browser, page_file, PICTURES, 1) as (page, release):
        page.wait_for_selector("#look-stage:visible")
        assert page.evaluate("document.readyState") == "loading"
        for name in ("ref", "over"):
            until(page, f"document.getElementById('look-{name}').naturalWidth === 80")
        level = int(page.input_value("#look-l"))
        page.focus("#look-frame-b")
        page.keyboard.press("ArrowRight")
        assert int(page.input_value("#look-l")) == level + 1
        head = page.locator(".scroll > table thead th:has(button.sort)").first
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert page.evaluate("document.readyState") == "loading"
        release.set()
        until(page, "Boolean(search.answers)")


def test_pictures_that_have_not_come_are_shown_once_they_are_here(browser: Any, page_file: Path) -> None:
    with held(browser, page_file, PICTURES, 3) as (page, release):
        until(page, "Boolean(search.answers)")  # of both distortions
        number = page.evaluate(
            "[0, 1, 2, 3].find(r => book.series.some(x => x.d === 0 && x.r === r && !here(Object.values(x.pictures))))"
        )
        page.select_option("#look-r", str(number))
        asked = page.evaluate("talkOf(state.o, seriesOf(state.d, state.r)).probes.map(probe => probe[1])")
        for level in asked:
            page.fill("#look-l", str(level))
            if "still being loaded" in shown(page, "why"):
                break
        assert shown(page, "why") == "The pictures of this pair are still being loaded."
        assert not page.is_visible("#look-stage")
        assert f"Level {level} against" in shown(page, "said")
        page.click("#test-start")
        assert "it starts as soon as they are here" in page.inner_text("#test-note")
        assert not page.is_visible("#test-run")
        release.set()
        page.wait_for_selector("#test-run:visible")
        assert page.inner_text("#test-note") == ""
        page.keyboard.press("Escape")
        assert shown(page, "why") == ""
        page.wait_for_selector("#look-stage:visible")
        assert page.evaluate("document.getElementById('look-over').naturalWidth") == 80
        assert page.input_value("#look-l") == str(level)


def test_only_the_test_that_was_asked_for_last_begins(browser: Any, page_file: Path) -> None:
    with held(browser, page_file, PICTURES, 3) as (page, release):
        until(page, "Boolean(search.answers)")
        page.click("#test-start")
        page.select_option("#look-d", "1")
        page.click("#test-start")
        page.select_option("#look-d", "0")
        page.evaluate("window.begun = 0; part('run').addEventListener('focus', () => begun++)")
        release.set()
        page.wait_for_selector("#test-run:visible")
        assert page.evaluate("[begun, test.d]") == [1, 1]


def test_a_distortion_chosen_before_its_answers_have_come(browser: Any, page_file: Path) -> None:
    with held(browser, page_file, TALKS, 1) as (page, release):
        page.wait_for_selector("#look-stage:visible")
        page.select_option("#look-d", "1")
        assert shown(page, "now") == "Opening the answers about contrast …"
        assert "blur" in shown(page, "asked")
        release.set()
        until(page, "document.getElementById('look-asked').textContent.includes('contrast')")
        assert "JND number 1" in shown(page, "now")
        assert page.input_value("#look-d") == "1"


def test_what_is_chosen_last_holds(browser: Any, page_file: Path) -> None:
    with held(browser, page_file, TALKS, 1) as (page, release):
        page.wait_for_selector("#look-stage:visible")
        page.select_option("#look-d", "1")
        page.select_option("#look-d", "0")
        release.set()
        until(page, "Boolean(search.answers)")
        assert "blur" in shown(page, "asked")
        assert page.input_value("#look-d") == "0"


def test_a_link_to_a_distortion_waits_for_its_answers(browser: Any, page_file: Path) -> None:
    with held(browser, page_file, TALKS, 1, SECOND) as (page, release):
        until(page, "document.getElementById('look-wait').textContent === 'Loading …' && book !== null")
        assert not page.is_visible("#look-body")
        release.set()
        page.wait_for_selector("#look-stage:visible")
        assert "contrast" in shown(page, "asked")
        assert [page.input_value(f"#look-{name}") for name in "drl"] == ["1", "2", "9"]


def test_a_search_is_over_all_answers_and_says_how_far_it_is(browser: Any, page_file: Path) -> None:
    with held(browser, page_file, TALKS, 1) as (page, release):
        page.wait_for_selector("#look-stage:visible")
        assert page.inner_text("#find-count") == "Opening the answers …"
        page.fill("#find-text", "noticeable")
        page.keyboard.press("Enter")
        assert page.inner_text("#find-count") == "Opening the answers: 1 of 2 distortions …"
        release.set()
        page.wait_for_selector("#find-list li")
        found = page.evaluate("new Set(search.hits.map(([talk]) => book.series[talk.s].d)).size")
        assert found == 2
        order = page.evaluate("search.hits.map(([talk]) => talk.s)")
        assert order == sorted(order), "as if all had been there from the start"


def cut(file: Path, kind: str, number: int) -> Path:
    content = file.read_bytes()
    return_to = file.with_name(f"cut-{kind[13:15]}-{number}.html")
    return_to.write_bytes(content[: within(content, kind, number)])
    return return_to


def test_a_page_that_was_cut_off_says_what_is_missing(browser: Any, page_file: Path) -> None:
    context = browser.new_context(**DESK)
    page = context.new_page()
    page.goto(cut(page_file, PICTURES, 1).as_uri())
    page.wait_for_selector("#look-stage:visible")
    page.select_option("#look-r", "3")
    assert "the page was cut off before them. Get the whole file." in shown(page, "why")
    page.click("#test-start")
    assert "the page was cut off before them" in page.inner_text("#test-note")
    page.goto(cut(page_file, PICTURES, 0).as_uri())
    page.wait_for_selector("#find-count:text('cut off before them; get the whole file')")
    page.select_option("#look-d", "1")
    until(page, "document.getElementById('look-now').textContent.includes('cut off before them')")
    page.fill("#find-text", "noticeable")
    page.keyboard.press("Enter")
    assert "cannot be searched" in page.inner_text("#find-count")
    assert "blur" in shown(page, "asked")
    context.close()
