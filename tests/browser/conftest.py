"""Pages in Chromium: what tests of the browser share. Needs playwright, Chromium and axe-core: `make test-browser`."""

import dataclasses
import importlib
import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import limen
from limen.study import Study
from tests.report.test_viewer import Scripted, images, spec, write

CHROMIUM = os.environ.get("LIMEN_CHROMIUM", "/usr/bin/chromium")
AXE = Path(os.environ.get("LIMEN_AXE", Path(sys.prefix) / "node_modules/axe-core/axe.min.js"))
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
FEW = {"name": "constant", "levels": [5, 12, 20]}
DESK = {"viewport": {"width": 1280, "height": 900}}
WINDOWS: dict[str, dict[str, Any]] = {
    "1440x900": {"viewport": {"width": 1440, "height": 900}},
    "1024x768": {"viewport": {"width": 1024, "height": 768}},
}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True}
WINDOWS["390x844"] = PHONE


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages: two observers with many JNDs, hostile texts, series left open, and pictures in a folder beside."""
    folder = tmp_path_factory.mktemp("site")
    photos = images(folder / "in", "a.png", "b.png", "c.png", "d.png", height=64, width=80)
    keen = {"name": "simulated", "threshold": 8.0, "slope": 0.1}
    blunt = {"name": "demo"}
    plan = Study.plan(spec(photos, observers=(keen, blunt), procedure={"name": "skip", "orders": 0}))
    plan.run(folder / "run")
    write(folder / "run", folder / "report.html")
    write(folder / "run", folder / "beside.html", beside=True)
    write(folder / "run", folder / "bare.html", embed=0)
    bad = images(
        folder / "bad", "<script>alert(3)<script>.png", "\u202e'\"&lt;.png", "x" * 200 + ".png", height=64, width=64
    )
    plan = Study.plan(spec(bad, distortions=("contrast", "mask")))
    dataclasses.replace(plan, observers=(Scripted(),)).run(folder / "hostile")
    write(folder / "hostile", folder / "hostile.html")
    dataclasses.replace(plan, observers=(Scripted("quiet", silent=True),)).run(folder / "open")
    write(folder / "open", folder / "open.html")
    one = images(folder / "one", "a.png", "b.png", height=64, width=64)
    same = {"name": "same", "text": "Are these two images identical? Reply with yes or no.", "notices": ["no"]}
    Study.plan(spec(one, distortions=("blur",), questions=("odd-one-out-3", same))).run(folder / "asked")
    write(folder / "asked", folder / "asked.html")
    limen.measure(
        "demo-items", "solver", "text-characters", questions="answer-changes", limit=2, exam=False,
        out=folder / "items", procedure={"name": "constant", "levels": [20]},
    )  # fmt: skip
    write(folder / "items", folder / "items.html")
    for name, height, width in (("large", 1000, 1300), ("middle", 400, 600)):
        photos = images(folder / f"{name}-in", f"{name}.png", height=height, width=width)
        Study.plan(spec(photos, distortions=("contrast",), procedure=FEW)).run(folder / name)
        write(folder / name, folder / f"{name}.html", embed=40)
    return folder


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """Playwright, of which there can be one in a process."""
    with importlib.import_module("playwright.sync_api").sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Any) -> Iterator[Any]:
    """Chromium, with a fresh profile."""
    started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
    yield started
    started.close()


def until(page: Any, what: str, seconds: float = 30.0) -> None:
    """Wait until an expression is true; the page's policy forbids playwright's own way, which makes code of text."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"document.getElementById('look') !== null && typeof book === 'object' && {what}"):
        assert time.monotonic() < end, f"not true in {seconds:.0f} s: {what}"
        page.wait_for_timeout(20)


class Visit:
    """One visit to a page: what it complained of, what it asked for, and short ways to what is on it."""

    def __init__(self, browser: Any, file: Path, fragment: str = "", **settings: Any) -> None:
        self.context = browser.new_context(**{**DESK, **settings})
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)
        self.allowed = (file.as_uri(), "data:", "blob:", (file.with_suffix("").as_uri() + "_stimuli/"))
        self.page.goto(f"{file.as_uri()}{fragment}")
        if settings.get("java_script_enabled", True):
            self.page.wait_for_selector("#look-body:not([hidden])")
            until(self.page, "Boolean(search.answers)")  # all that was said is open
            self.settle()

    def _dialog(self, dialog: Any) -> None:
        self.troubles.append(dialog.message)
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith(self.allowed):
            self.troubles.append(request.url)

    def settle(self) -> None:
        self.page.wait_for_timeout(60)

    def text(self, name: str) -> str:
        return str(self.page.inner_text(f"#look-{name}"))

    def value(self, name: str) -> str:
        return str(self.page.input_value(f"#look-{name}"))

    def mode(self, name: str) -> None:
        self.page.check(f"input[name=look-m][value={name}]")
        self.settle()

    def link(self) -> str:
        self.page.wait_for_timeout(320)
        return str(self.page.evaluate("location.hash"))

    def pixels(self, name: str) -> Any:
        """Return the screen where an element is."""
        return np.asarray(Pillow.open(io.BytesIO(self.page.locator(f"#look-{name}").screenshot())).convert("RGB"))

    def sent(self, name: str) -> Any:
        """Return the pixels of the file that an image shows."""
        source = self.page.get_attribute(f"#look-{name}", "src")
        with Pillow.open(io.BytesIO(importlib.import_module("base64").b64decode(source.split(",")[1]))) as picture:
            return np.asarray(picture.convert("RGB"))

    def close(self) -> None:
        self.context.close()
        assert self.troubles == []


@pytest.fixture
def visit(browser: Any, site: Path) -> Iterator[Any]:
    """Visit pages; at the end none of them has complained or asked for anything."""
    made: list[Visit] = []

    def go(name: str = "report.html", fragment: str = "", **settings: Any) -> Visit:
        made.append(Visit(browser, site / name, fragment, **settings))
        return made[-1]

    yield go
    for one in made:
        one.close()


# --- looking ---
