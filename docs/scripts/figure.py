"""Draw the README's figure: the first screen of a report, as a browser shows it.

python docs/scripts/figure.py report.html docs/images/figure.png

in the environment of `make test-browser`, which has a browser.
"""

import argparse
import os
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("LIMEN_CHROMIUM", "/usr/bin/chromium")


def main(page: Path, out: Path) -> None:
    """Draw everything above the contents."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": 1180, "height": 900}, color_scheme="light")
        shown.goto(page.resolve().as_uri())
        shown.wait_for_selector("#pair button")
        shown.locator("header").screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="the page")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    given = parser.parse_args()
    main(given.report, given.picture)
