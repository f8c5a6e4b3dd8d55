"""How soon a report can be read in a browser: python benchmarks/page.py report.html [...] [--json FILE].

Opens each page from disk in a fresh Chromium, several times, the pages in turns: the first paint with content, and when
the page answers: all tables can be sorted, the viewer shows its first pair (both pictures decoded, where it has any)
and has gone one level down for a key. Needs the environment of `make test-browser`.
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
  const look = name => document.getElementById(`look-${name}`);
  const shown = image => image.complete && image.naturalWidth > 0;
  const sortable = () => [...document.querySelectorAll('.scroll > table')]
    .every(table => table.tBodies[0].rows.length < 2 || table.querySelector('button.sort'));
  const there = () => document.querySelector('footer') && sortable() && (!look('body') || !look('body').hidden
    && (look('drawn').hidden || !look('stage').hidden && shown(look('ref')) && shown(look('over'))));
  const answers = () => {
    if (!look('body')) return true;
    const before = look('now').textContent;
    look('now').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true, cancelable: true }));
    return look('now').textContent !== before;
  };
  const ask = () => {
    if (there() && answers()) requestAnimationFrame(() => done(performance.now()));
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
    visits: dict[Path, list[tuple[float, float]]] = {page: [] for page in given.pages}
    with sync_playwright() as playwright:
        for _ in range(given.times):
            for page, each in visits.items():
                each.append(visit(playwright, page))
    found = {}
    for page, each in visits.items():
        paints, ready = zip(*each, strict=True)
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
