"""How soon a report can be read in a browser: python benchmarks/page.py report.html [...] [--json FILE].

Opens each page from disk in a fresh Chromium, several times: the first paint with content, and when the viewer answers
(all scripts have run, its data is unpacked and its first pair is laid out). Needs the environment of `make
test-browser`.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("LIMEN_CHROMIUM", "/usr/bin/chromium")
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
READY = """new Promise(done => {
  const ask = () => {
    const body = document.getElementById('look-body');
    const there = document.readyState !== 'loading' && !(body && body.hidden);
    if (there) requestAnimationFrame(() => done(performance.now()));
    else setTimeout(ask, 5);
  };
  ask();
})"""


def visit(playwright: Any, page: Path) -> tuple[float, float]:
    """Return the first paint and the time when the page answers, in seconds from the start of the navigation."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
    shown = browser.new_page(viewport={"width": 1440, "height": 900})
    shown.goto(page.resolve().as_uri(), wait_until="commit")
    ready = shown.evaluate(READY)
    paint = shown.evaluate(PAINT)
    browser.close()
    return paint / 1000, ready / 1000


def main() -> None:
    """Print the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {}
    with sync_playwright() as playwright:
        for page in given.pages:
            paints, ready = zip(*(visit(playwright, page) for _ in range(given.times)), strict=True)
            found[str(page)] = {
                "megabytes": round(page.stat().st_size / 1e6, 1),
                "first paint, s": round(statistics.median(paints), 2),
                "interactive, s": round(statistics.median(ready), 2),
                "times": given.times,
            }
            print(f"{page}: {found[str(page)]}", file=sys.stderr)
    text = json.dumps(found, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text)


if __name__ == "__main__":
    main()
