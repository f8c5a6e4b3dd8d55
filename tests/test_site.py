"""The documentation site: whole, from one host, and not built with a dead link. `make docs` builds it and runs this."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parent.parent
SITE = ROOT / "build" / "site"
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
PAGES = sorted(SITE.rglob("*.html"))
BROKEN = """# Broken

[No page](nowhere.md), [no anchor](../howto/safe.md#nowhere), [no file of the repository](../../nowhere.txt),
[no name][limen.nowhere].
"""


@pytest.fixture(scope="module")
def complaint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the build of a copy with a broken page says."""
    copy = tmp_path_factory.mktemp("copy")
    for entry in ROOT.iterdir():
        if entry.name not in {"docs", "build"} and not entry.name.startswith("."):
            (copy / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "docs", copy / "docs")
    (copy / "docs" / "howto" / "safe.md").write_text(BROKEN, encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(copy / "build" / "site")]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize(
    "fault", ["'nowhere.md'", "'../howto/safe.md#nowhere'", "'../../nowhere.txt'", "'limen.nowhere'"]
)
def test_a_page_with_a_fault_is_not_built(complaint: str, fault: str) -> None:
    assert fault in complaint


def test_every_page_of_the_sources_is_there() -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(SITE) for path in PAGES}
    assert sources <= built
    assert len(sources) > 40


def test_a_page_loads_nothing_from_another_host() -> None:
    loading = re.compile(r"""<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^"'>\s]+""")
    found = {hit for page in PAGES for hit in loading.findall(page.read_text(encoding="utf-8"))}
    styles = [style for style in SITE.rglob("*.css") if "url(http" in style.read_text(encoding="utf-8")]
    assert not found
    assert not styles


def test_links_out_of_the_pages_lead_to_the_repository() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    ours = set(re.findall(rf'href="{re.escape(REPOSITORY)}/(?:blob|tree)/main/([^"#]+)', text))
    assert {"CONTRIBUTING.md", "benchmarks/README.md", "docs/studies"} <= ours
    assert not [path for path in ours if not (ROOT / path).exists()]


def test_search_finds_options_names_and_words() -> None:
    index = json.loads((SITE / "search" / "search_index.json").read_text(encoding="utf-8"))
    text = " ".join(entry["text"] for entry in index["docs"])
    assert all(word in text for word in ("--max-cost", "antilogy", "KonJND-1k"))
    assert {"reference/api.html#limen.measure", "reference/commands.html#limen-measure"} <= {
        entry["location"] for entry in index["docs"]
    }


def test_search_works_in_pages_opened_from_a_folder() -> None:
    index = (SITE / "search" / "search_index.json").read_text(encoding="utf-8")
    assert (SITE / "search" / "search_index.js").read_text(encoding="utf-8") == f"var __index = {index}"
    for page in PAGES:
        if page.name != "404.html":
            assert re.search(r'<script src="(\.\./)*iframe-worker\.js">', page.read_text(encoding="utf-8")), page
    assert (SITE / "iframe-worker.js").exists()


def test_search_puts_what_is_looked_up_before_what_is_shown() -> None:
    entries = json.loads((SITE / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    boost = {entry["location"].partition("#")[0]: entry.get("boost", 1) for entry in entries}
    assert min(boost["reference/commands.html"], boost["reference/glossary.html"]) > boost["reference/api.html"]
    assert max(boost["reference/gallery.html"], boost["changelog.html"]) < boost["reference/api.html"]


def test_a_page_is_called_in_the_navigation_as_above_its_text() -> None:
    """No page of the navigation has a name of its own in mkdocs.yml: it takes the page's title."""
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    assert len(re.findall(r"^ +- \S+\.(?:md|ipynb)$", nav, re.MULTILINE)) > 40
    assert not re.findall(r"- .+: \S+\.(?:md|ipynb)", nav)
