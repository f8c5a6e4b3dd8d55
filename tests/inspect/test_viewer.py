"""limen's logs in Inspect's own viewer: figures, verdicts and pictures are there to be seen."""

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai")
pytest.importorskip("playwright")

from inspect_ai.log import bundle_log_dir
from playwright.sync_api import Page, expect, sync_playwright

from limen import registry
from limen.inspect.tasks import jnd
from tests.inspect.evaluation import Evaluate
from tests.inspect.test_tasks import measured

CHROMIUM = os.environ.get("LIMEN_CHROMIUM", "/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
WAIT = 60_000  # ms
pytestmark = [
    pytest.mark.inspect,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs chromium (LIMEN_CHROMIUM)"),
]


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def opened(logs: Path, site: Path, width: int) -> Iterator[Page]:
    """Yield a page of the viewer, as `inspect view bundle` makes it, with the one log of a folder."""
    bundle_log_dir(str(logs), str(site))
    handler = functools.partial(_Silent, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(WAIT)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield page
        browser.close()
    server.shutdown()


def look(page: Page) -> None:
    """See the figures, then one sample with its verdict and its two pictures."""
    expect(page.get_by_text("blur/median_jnd", exact=False).first).to_be_visible(timeout=WAIT)
    page.get_by_text("blur 0:", exact=False).first.click()
    sizes = "[...document.images].map(image => image.naturalWidth)"
    expect(page.locator("img[src^='data:image/png']")).to_have_count(2, timeout=WAIT)
    assert set(page.evaluate(sizes)) == {64}
    assert page.evaluate("[...document.images].every(image => image.src.startsWith('data:image/png'))")
    assert "noticeable difference" in page.inner_text("body")
    page.get_by_role("tab", name="Scoring").click()
    expect(page.get_by_text("beside level", exact=False).first).to_be_visible(timeout=WAIT)


@pytest.mark.parametrize("width", [1440, 1024])
def test_a_log_of_the_task(evaluated: Evaluate, tmp_path: Path, width: int) -> None:
    evaluated(jnd(images="demo", distortion="blur", limit=2), model="limen/demo")
    for page in opened(tmp_path / "logs", tmp_path / "site", width):
        look(page)


def test_a_log_that_was_exported(tmp_path: Path) -> None:
    measured(tmp_path / "run", "demo", distortions=("blur",), limit=2)
    registry.find("export", "inspect")(tmp_path / "run", tmp_path / "logs")
    for page in opened(tmp_path / "logs", tmp_path / "site", 1440):
        look(page)
