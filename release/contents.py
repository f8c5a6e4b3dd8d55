"""Lists what a wheel and a source distribution hold, and says what should not be in them or is missing.

    python release/contents.py dist/*

What git tracks is what ships: the wheel holds `src/limen`, the source distribution what pyproject.toml names. Ends with
exit code 1 and a line for each fault.
"""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
WHOLE, SINGLE = 25 * 10**6, 6 * 10**6  # bytes at most, of an archive and of a file in it
WANTED = ("limen/py.typed", "limen/report/page/page.html.jinja", "limen/data/demo/vision.onnx")
NEVER = re.compile(r"(^|/)(__pycache__|\.venv[^/]*|node_modules|runs|\.git)(/|$)|\.(py[co]|db-wal|log|orig|swp)$")


def tracked(root: Path = ROOT) -> frozenset[str]:
    """Return the files that git tracks, relative to the clone."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=True).stdout
    return frozenset(name for name in listed.decode().split("\0") if name)


def members(archive: Path) -> dict[str, int]:
    """Return the files of a wheel or a source distribution with their sizes in bytes."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {one.filename: one.file_size for one in wheel.infolist() if not one.is_dir()}
    with tarfile.open(archive) as source:
        return {str(PurePosixPath(*PurePosixPath(one.name).parts[1:])): one.size for one in source if one.isfile()}


def expected(archive: Path, files: frozenset[str], root: Path = ROOT) -> frozenset[str]:
    """Return what of the files that git tracks belongs into an archive, by the archive's own names.

    Args:
        archive: a wheel or a source distribution.
        files: that git tracks.
        root: of the clone.
    """
    if archive.suffix == ".whl":
        return frozenset(name.removeprefix("src/") for name in files if name.startswith("src/limen/"))
    about = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    places = [place.strip("/") for place in about["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]]
    own = {"pyproject.toml", ".gitignore"}
    return frozenset(name for name in files if name in own or any(f"{name}/".startswith(f"{at}/") for at in places))


def faults(archive: Path, files: frozenset[str], root: Path = ROOT) -> list[str]:
    """Return a line for each thing that is wrong with an archive.

    Args:
        archive: a wheel or a source distribution.
        files: that git tracks.
        root: of the clone.
    """
    found = members(archive)
    wanted = expected(archive, files, root)
    made = re.compile(r"limen-[^/]+\.dist-info/") if archive.suffix == ".whl" else re.compile(r"PKG-INFO$")
    wrong = []
    if (size := archive.stat().st_size) > WHOLE:
        wrong.append(f"{size / 1e6:.1f} MB; at most {WHOLE / 1e6:.0f} MB")
    wrong += [
        f"{name}: {size / 1e6:.1f} MB; at most {SINGLE / 1e6:.0f} MB" for name, size in found.items() if size > SINGLE
    ]
    wrong += [f"{name}: must not be in it" for name in sorted(found) if NEVER.search(name)]
    wrong += [
        f"{name}: git does not track it; commit it or take it away"
        for name in sorted(found.keys() - wanted)
        if not made.match(name)
    ]
    wrong += [f"{name}: is missing" for name in sorted(wanted - found.keys())]
    if archive.suffix == ".whl":
        wrong += [f"{name}: is missing" for name in WANTED if name not in found]
    return [f"{archive.name}: {line}" for line in wrong]


def listing(archive: Path) -> str:
    """Return how many files and bytes lie in each folder of an archive."""
    count, size = Counter[str](), Counter[str]()
    for name, length in members(archive).items():
        folder = "/".join(name.split("/")[:2]) if name.count("/") > 1 else name.split("/")[0] + "/" * ("/" in name)
        count[folder] += 1
        size[folder] += length
    rows = [f"  {size[one] / 1e3:10,.0f} kB  {count[one]:4} files  {one}" for one in sorted(count)]
    return "\n".join([f"{archive.name}: {archive.stat().st_size / 1e6:.1f} MB, {sum(count.values())} files", *rows])


def main(archives: list[Path]) -> int:
    """Print the listings, and the faults on stderr."""
    if sorted(one.suffix for one in archives) != [".gz", ".whl"]:
        given = ", ".join(one.name for one in archives) or "nothing"
        print(f"Give one wheel and one source distribution (dist/*), not {given}.", file=sys.stderr)
        return 1
    files = tracked()
    wrong = [line for one in archives for line in faults(one, files)]
    print("\n".join(map(listing, archives)))
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main([Path(one) for one in sys.argv[1:]]))
