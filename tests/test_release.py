"""What a release rests on: one version, addresses that agree, archives that hold what git tracks, pinned workflows."""

import importlib.util
import io
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import limen

ROOT = Path(__file__).parents[1]
ABOUT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOME = ABOUT["project"]["urls"]["Repository"]
LINK = re.compile(r"""\]\(([^)\s]+)|\b(?:src|srcset|href)="([^"]+)""")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def contents() -> ModuleType:
    spec = importlib.util.spec_from_file_location("contents", ROOT / "release" / "contents.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- one version ---


def test_the_version_is_said_once() -> None:
    assert "version" in ABOUT["project"]["dynamic"]
    assert ABOUT["tool"]["hatch"]["version"]["path"] == "src/limen/__init__.py"
    said = subprocess.run([sys.executable, "-m", "limen", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.split()[-1] == limen.__version__


def test_citation_and_changelog_agree_with_it() -> None:
    assert re.findall(r"^version: (.+)$", text("CITATION.cff"), re.MULTILINE) == [limen.__version__]
    headings = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1].split()[0] == limen.__version__


def test_changelog_keeps_to_its_sections() -> None:
    known = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for version in re.split(r"^## ", text("CHANGELOG.md"), flags=re.MULTILINE)[1:]:
        sections = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert set(sections) <= known, version.splitlines()[0]
        assert len(sections) == len(set(sections)), version.splitlines()[0]


# --- addresses ---


def on_an_index() -> str:
    """README.md as a package index shows it."""
    page = text("README.md")
    for one in ABOUT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        page = re.sub(one["pattern"], one["replacement"].replace("$HFPR_VERSION", limen.__version__), page)
    return page


def links(page: str) -> list[str]:
    return [first or second for first, second in LINK.findall(page)]


def test_readme_has_no_relative_link_on_a_package_index() -> None:
    here, there = links(text("README.md")), links(on_an_index())
    assert sum(not re.match(r"https?:|#", one) for one in here) >= 5  # there is something to change
    assert len(here) == len(there)
    for before, after in zip(here, there, strict=True):
        if re.match(r"https?:|#", before):
            assert after == before
            continue
        place = re.fullmatch(rf"{HOME}/blob/v{limen.__version__}/(.+)", after) or re.fullmatch(
            rf"https://raw.githubusercontent.com/{HOME.split('.com/')[1]}/v{limen.__version__}/(.+)", after
        )
        assert place is not None, after
        assert (ROOT / place[1].partition("#")[0]).exists(), after
        assert ("raw.githubusercontent" in after) == before.endswith((".png", ".jpg", ".svg")), after


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("![a [b] c](docs/x.png)", None),
        ('<img alt="a" src="docs/x.png">', '<img alt="a" src="RAW/docs/x.png">'),
        ('<source srcset="docs/x.png">', '<source srcset="RAW/docs/x.png">'),
        ("[![a](docs/x.png)](docs/x.md)", "[![a](RAW/docs/x.png)](BLOB/docs/x.md)"),
        ('<a href="docs/x.md">', '<a href="BLOB/docs/x.md">'),
        ("[a](#b) [c](https://a.org) [d](mailto:a@b.org)", "[a](#b) [c](https://a.org) [d](mailto:a@b.org)"),
    ],
)  # fmt: skip
def test_what_becomes_of_links(source: str, shown: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "text", lambda name: source)
    blob, raw = f"{HOME}/blob/v{limen.__version__}", HOME.replace("github.com", "raw.githubusercontent.com")
    made = on_an_index().replace(blob, "BLOB").replace(f"{raw}/v{limen.__version__}", "RAW")
    if shown is not None:
        assert made == shown
    assert not [one for one in links(made) if one.startswith("docs/")]


def test_every_address_of_the_project_is_the_same() -> None:
    owner, name = HOME.removeprefix("https://github.com/").split("/")
    urls = ABOUT["project"]["urls"]
    assert urls["Documentation"] == f"https://{owner}.github.io/{name}/"
    assert urls["Issues"] == f"{HOME}/issues"
    assert urls["Changelog"].startswith(f"{HOME}/blob/")
    files = [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.yml"), *(ROOT / ".github").rglob("*.*")]
    for file in [*files, ROOT / "docs" / "howto" / "release.md", *(ROOT / "examples").rglob("*.md")]:
        for found in re.findall(
            r"(?:github\.com|githubusercontent\.com)/([\w.-]+/limen)\b", file.read_text(encoding="utf-8")
        ):
            assert found == f"{owner}/{name}", file
        for host in re.findall(r"([\w-]+)\.github\.io/limen\b", file.read_text(encoding="utf-8")):
            assert host == owner, file


def test_nothing_says_that_it_is_published() -> None:
    """Until it is: `pip install limen` from an index would install what somebody else has put there."""
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")):
        for line in page.read_text(encoding="utf-8").splitlines():
            assert not re.search(
                r"(pip|uv|pipx) (install|add|tool install) (-\S+ )*['\"]?limen(\[[\w,]+\])?['\"]?(\s|$|`)", line
            ), (page, line)


def test_the_lock_fits_and_names_public_addresses_alone() -> None:
    lock = tomllib.loads(text("uv.lock"))
    hosts = set(re.findall(r'https?://([^/"]+)', text("uv.lock")))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}
    sources = {key for package in lock["package"] for key in package["source"]}
    assert sources == {"registry", "editable"}  # no path, no git
    (own,) = [package for package in lock["package"] if package["name"] == "limen"]
    assert own["source"] == {"editable": "."}
    locked = {
        (one["name"], SpecifierSet(one.get("specifier", "")), extra_of(one.get("marker", "")))
        for one in own["metadata"]["requires-dist"]
    }
    extras = {"": ABOUT["project"]["dependencies"]} | ABOUT["project"]["optional-dependencies"]
    needed = [(Requirement(line), extra) for extra, lines in extras.items() for line in lines]
    wanted = {(canonicalize_name(one.name), one.specifier, extra) for one, extra in needed if one.name != "limen"}
    # The lock says an extra that others name in full for each of them.
    assert wanted <= locked, "make lock writes it again"
    assert {name for name, *_ in wanted} == {name for name, *_ in locked}, "make lock writes it again"


def extra_of(marker: str) -> str:
    found = re.search(r"extra == '([\w-]+)'", marker)
    return found[1] if found else ""


# --- archives ---


def wheel(file: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


SOUND = {"limen/__init__.py": b"", "limen/py.typed": b"", "limen-1.dist-info/METADATA": b""}


@pytest.fixture
def wanted(contents: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "WANTED", ("limen/py.typed",))


@pytest.mark.usefixtures("wanted")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"limen/stray.bin": b""}, "limen/stray.bin: git does not track it"),
        ({"tests/test_a.py": b""}, "tests/test_a.py: git does not track it"),
        ({"limen/__pycache__/a.cpython-311.pyc": b""}, "must not be in it"),
        ({"limen/__init__.py": b"0" * 6_000_001}, "limen/__init__.py: 6.0 MB; at most 6 MB"),
        ({"limen/__init__.py": None}, "limen/__init__.py: is missing"),
        ({"limen/py.typed": None}, "limen/py.typed: is missing"),
    ],
)  # fmt: skip
def test_a_wheel_that_is_wrong_is_found_out(
    contents: ModuleType, tmp_path: Path, change: dict[str, bytes | None], said: str
) -> None:
    members = {name: content for name, content in (SOUND | change).items() if content is not None}
    tracked = frozenset({"src/limen/__init__.py", "src/limen/py.typed", "README.md"})
    lines = contents.faults(wheel(tmp_path / "limen-1-py3-none-any.whl", members), tracked)
    assert (said in "\n".join(lines)) if said else lines == []


def test_a_source_distribution_that_is_wrong_is_found_out(contents: ModuleType, tmp_path: Path) -> None:
    tracked = frozenset({"src/limen/__init__.py", "README.md", "pyproject.toml", "notes/todo.txt"})
    file = tmp_path / "limen-1.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for name in ("src/limen/__init__.py", "pyproject.toml", "PKG-INFO", "notes/todo.txt"):
            archive.addfile(tarfile.TarInfo(f"limen-1/{name}"), io.BytesIO())
    assert contents.faults(file, tracked) == [
        "limen-1.tar.gz: notes/todo.txt: git does not track it; commit it or take it away",
        "limen-1.tar.gz: README.md: is missing",
    ]
    assert contents.main([file]) == 1


# --- workflows ---


def test_there_are_workflows() -> None:
    assert {file.stem for file in WORKFLOWS} == {"dependencies", "docs", "release", "tests"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_and_may_do_little(file: Path) -> None:
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}, "nothing for all jobs; each names what it needs"
    for job in workflow["jobs"].values():
        assert job["permissions"], "each job names what it may do"
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            if (uses := step.get("uses")) is not None:
                assert re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40}", uses), uses
                if uses.startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False
    for line in re.findall(r"uses: (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE):
        assert re.search(r" # v\d+(\.\d+)*$", line), "the version stands behind the commit"


def test_workflows_try_every_python_that_is_promised() -> None:
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load(text(".github/workflows/tests.yml"))
    tried = {
        version
        for job in workflow["jobs"].values()
        for version in job.get("strategy", {}).get("matrix", {}).get("python", ())
    }
    promised = {one.split(" :: ")[-1] for one in ABOUT["project"]["classifiers"] if re.search(r":: 3\.\d+$", one)}
    assert promised <= tried
    assert min(promised, key=lambda one: int(one[2:])) == ABOUT["project"]["requires-python"].removeprefix(">=")
