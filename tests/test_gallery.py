"""The gallery shows every distortion, scene, figure and part of a report that the code knows.

What figures and parts there are is read from limen's own source, so that a new one is missed here and not by a reader.
"""

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import limen
from limen import registry
from limen.report import Report

ROOT = Path(__file__).parent.parent
SCRIPT = runpy.run_path(str(ROOT / "docs" / "scripts" / "gallery.py"))
PAGE = (ROOT / "docs" / "reference" / "gallery.md").read_text(encoding="utf-8")
PICTURES = ROOT / "docs" / "images" / "gallery"
LARGEST = 3_000_000  # bytes of all pictures
REPORT = ROOT / "src" / "limen" / "report"
HEADING = re.compile(r'<h[23] id="([\w-]+)"')


def shown(entry: str) -> str:
    """Return what the page says below the heading that holds this name."""
    _, found, rest = PAGE.partition(entry)
    assert found, f"{entry} is not on the page: python docs/scripts/gallery.py"
    return rest.partition("\n### ")[0]


def text_of(node: ast.expr) -> str | None:
    """Return a constant text, "*" for each part of it that is worked out; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
    return None


def is_drawing(node: ast.AST) -> bool:
    """Whether this is a `Drawing` with a name of its own: name, label, and a function from width to a figure."""
    if not (isinstance(node, ast.Tuple) and len(node.elts) == 3 and text_of(node.elts[0])):
        return False
    last = node.elts[2]
    return isinstance(last, ast.Lambda) or (
        isinstance(last, ast.Call) and isinstance(last.func, ast.Attribute) and last.func.attr in ("partial", "cache")
    )


def in_source() -> Iterator[tuple[str, str]]:
    """Yield ("figure" or "part", its name) for each that the modules of the report write."""
    for file in sorted(REPORT.glob("*.py")):
        feature = file.stem == "feature_sections"
        waiting: list[str] = []
        nodes = [node for node in ast.walk(ast.parse(file.read_text())) if hasattr(node, "lineno")]
        for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
            if is_drawing(node):
                name = str(text_of(node.elts[0]))
                if feature:
                    waiting.append(name)  # the section that follows puts its anchor before it
                else:
                    yield "figure", name.replace("*", "N")
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id
            if called in ("section", "_section", "Section") and node.args and (anchor := text_of(node.args[0])):
                anchor = anchor.removeprefix("*-")
                if anchor in ("*", ""):
                    continue
                yield "part", f"feature-{anchor}" if feature else anchor
                yield from (("figure", f"RUN-{anchor}-{name}") for name in waiting)
                waiting = []
    for file in REPORT.glob("page/*.*"):
        if file.suffix in (".jinja", ".html"):
            yield from (("part", anchor) for anchor in HEADING.findall(file.read_text()))


KNOWN = sorted(set(in_source()))


@pytest.mark.parametrize("name", registry.every("distortion"))
def test_every_distortion_is_shown(name: str) -> None:
    kind = registry.find("distortion", name)
    entry = shown(f"### `{name}`\n")
    assert kind.summary in entry
    assert f"images/gallery/{name}.webp" in entry or kind.of == "question"
    for strength in (kind.ladder[level] for level in range(1, len(kind.ladder) + 1, len(kind.ladder))):
        assert f"({strength:.3g})" in entry or kind.of == "question"


@pytest.mark.parametrize("name", registry.every("scene"))
def test_every_scene_is_shown(name: str) -> None:
    assert f"images/gallery/scene-{name}.webp" in shown(f"### Scene `{name}`\n")


@pytest.mark.parametrize(("what", "name"), KNOWN)
def test_every_figure_and_part_is_shown(what: str, name: str) -> None:
    entry = shown(f"### Figure `{name}`\n" if what == "figure" else f"(`#{name}`)\n")
    assert "images/gallery/" in entry
    assert "limen " in entry


def test_the_source_tells_what_reports_write(tmp_path: Path) -> None:
    """What was read from the source is what a report has: figures by name, parts by anchor."""
    assert len([name for what, name in KNOWN if what == "figure"]) >= 14
    assert len([name for what, name in KNOWN if what == "part"]) >= 30
    limen.measure("demo", "simulated", ["blur", "jpeg"], limit=6, jnds=2, out=tmp_path / "run")
    with Report.open([tmp_path / "run"]) as report:
        kinds = {SCRIPT["kind_of"](name) for name in report.specifications(760)}
        report.page(tmp_path / "report.html")
    assert {"first-jnds", "nth-jnds", "psychometric-OBSERVER-DISTORTION"} <= kinds
    for kind in kinds:
        assert f"### Figure `{kind}`\n" in PAGE
    page = (tmp_path / "report.html").read_text()
    for anchor in HEADING.findall(page):
        assert ("part", anchor) in KNOWN


def test_every_part_has_its_line_and_no_line_is_left_over() -> None:
    known = {name for what, name in KNOWN if what == "part"} | {"top", "pair", "test-run"}
    assert known == set(SCRIPT["PARTS"])


def test_pictures_are_there_small_and_used() -> None:
    named = re.findall(r"images/gallery/([\w.-]+)\)", PAGE)
    files: dict[str, Any] = {file.name: file.stat().st_size for file in PICTURES.iterdir()}
    assert set(named) == set(files)
    assert len(named) == len(set(named))
    assert sum(files.values()) <= LARGEST


def test_words_of_the_question_are_those_of_today() -> None:
    for kind in registry.every("distortion").values():
        if kind.of == "question":
            assert "\n".join(SCRIPT["distortion_part"](kind, Path())) in PAGE
