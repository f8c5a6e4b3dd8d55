"""What lies in a folder as people have them: pictures, and one line for each kind of thing that is none.

Pictures are known by their suffix, those with another or none by their first bytes. Those with a usual suffix come
first, in order of names, then those that earlier versions did not see (other suffixes, linked folders): so a limit
takes the same ones as ever.
"""

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from limen.image import SUFFIXES, container

# Folders that no one means: what systems, network drives and editors put beside pictures.
HIDDEN = frozenset({"__macosx", "@eadir", "$recycle.bin", "#recycle", "system volume information", "lost+found"})
# Picture formats that are not read, by suffix. All others are known by their first bytes, or are no pictures.
_UNREAD = """
HEIF: heic heif hif heics
JPEG XL: jxl
JPEG XR: jxr wdp
Photoshop: psd psb
GIMP: xcf
SVG: svg svgz
PDF: pdf
PostScript: eps ps ai
Targa: tga
OpenEXR: exr
Radiance HDR: hdr
an icon: ico
DDS: dds
QOI: qoi
PCX: pcx
WMF: wmf emf
DjVu: djvu
FITS: fits
PFM: pfm
BPG: bpg
DICOM: dcm
camera RAW: 3fr arw bay cap cr2 cr3 crw dcr dng erf fff gpr iiq k25 kdc mef mos mrw nef nrw orf pef ptx raf raw rw2 rwl
camera RAW: sr2 srf srw x3f
"""
UNREAD = {
    f".{suffix}": name
    for name, _, suffixes in (line.partition(":") for line in _UNREAD.split("\n"))
    for suffix in suffixes.split()
}
# What lies beside pictures and is of no concern: never opened, never told.
_BESIDE = """
aae bib cfg conf csv db dop htm html info ini ipynb json jsonl lnk log lrcat lrv lst md md5 npy npz parquet pickle pkl
pp3 pt py rst sh sha1 sha256 thm toml tsv txt url xml xmp yaml yml
"""
BESIDE = frozenset(f".{suffix}" for suffix in _BESIDE.split())
BESIDE_NAMES = frozenset(
    {"license", "licence", "copying", "notice", "readme", "makefile", "icon\r", "thumbs.db", "version"}
)
_NAMED = 3  # files named of a group


@dataclass(slots=True)
class Walk:
    """What a folder holds, searched whole.

    Attributes:
        files: regular files, in order of names.
        linked: those reached by linked folders only, likewise.
        lines: one for each folder that cannot be read, and one for all links that lead nowhere.
        lost: names of those links.
        hidden: how many hidden files and folders were passed by.
    """

    files: list[Path] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    hidden: int = 0


def hidden(name: str) -> bool:
    """Say whether a file or folder of that name is hidden, or put there by a system."""
    return name.startswith(".") or name.lower() in HIDDEN


def walk(place: Path, follow: bool = True) -> Walk:
    """Search a folder whole; each folder is read once, whatever links lead to it, and hidden ones are not.

    Args:
        place: a folder, hidden or not.
        follow: whether links to folders outside it are followed; else they are named.
    """
    found, known = Walk(), set[object]()
    links = sorted(_read(place, place, found, found.files, known))
    while links:
        link = links.pop(0)
        name = _name(link, place)
        if _identity(link) in known:
            continue
        if Path(os.path.realpath(link.parent)).is_relative_to(os.path.realpath(link)):
            found.lines.append(f"{name}: is a link to a folder above it, and is not followed. Name that folder itself.")
        elif not follow:
            found.lines.append(f"{name}: is a link that leaves the data set's folder. Put the files themselves there.")
        else:
            links += sorted(_read(link, place, found, found.linked, known))
    found.files.sort()
    found.linked.sort()
    found.lines.sort()
    if len(found.lost) == 1:
        found.lines.append(f"{found.lost[0]}: is a link that leads nowhere. Mend or remove it.")
    elif found.lost:
        found.lines.append(f"{len(found.lost):,} links lead nowhere: {_first(found.lost)}. Mend or remove them.")
    return found


def pictures(place: Path, follow: bool = True) -> tuple[list[Path], list[str]]:
    """Return the picture files of a folder in their order, and lines that count and name what is none.

    Args:
        place: a folder, searched whole.
        follow: as `walk` has it.
    """
    found = walk(place, follow)
    usual = [file for file in found.files if file.suffix.lower() in SUFFIXES]
    more: list[Path] = []
    unread: dict[tuple[str, str], list[str]] = defaultdict(list)
    others: Counter[str] = Counter()
    for file in [*(file for file in found.files if file.suffix.lower() not in SUFFIXES), *found.linked]:
        suffix = file.suffix.lower()
        if suffix in BESIDE or file.name.lower() in BESIDE_NAMES:
            continue
        head = b"" if UNREAD.get(suffix) == "camera RAW" or suffix in SUFFIXES else _head(file)
        if suffix in SUFFIXES or container.kind(head):
            more.append(file)
        elif known := UNREAD.get(suffix) or container.foreign(head):
            unread[suffix, known].append(_name(file, place))
        else:
            others[suffix] += 1
    lines = [*found.lines, *grouped(unread), *_counted(others)]
    if found.hidden and not usual and not more:
        what = "hidden file or folder is no reference" if found.hidden == 1 else "hidden files and folders are none"
        lines.append(f"{found.hidden:,} {what}. Name the one you mean.")
    return [*usual, *more], lines


def grouped(unread: dict[tuple[str, str], list[str]]) -> Iterator[str]:
    """Yield a line for each suffix and format of pictures that are not read, with the first of their names."""
    for (_, known), names in unread.items():
        count, first = len(names), _first(names)
        shown = os.path.splitext(names[0])[1] or "no suffix"
        if count == 1:
            yield f"{first}: is {known}, which limen does not read. Convert it, e.g. to PNG."
        else:
            yield (
                f"{count:,} files of {shown} ({known}, which limen does not read): {first}. Convert them, e.g. to PNG."
            )


def _first(names: list[str]) -> str:
    """Return the first few names, in order."""
    return ", ".join(sorted(names)[:_NAMED]) + (" and others" if len(names) > _NAMED else "")


def _counted(others: Counter[str]) -> Iterator[str]:
    if others:
        count, kinds = others.total(), others.most_common()
        shown = ", ".join(f"{number:,} of {suffix or 'no suffix'}" for suffix, number in kinds[:8])
        files = "file is no picture and is" if count == 1 else "files are no pictures and are"
        yield f"{count:,} other {files} left alone: {shown}{', ...' if len(kinds) > 8 else ''}."


def _read(folder: Path, place: Path, found: Walk, files: list[Path], known: set[object]) -> list[Path]:
    """Read a folder and those in it, each once; return the links to folders, which are for later."""
    waiting, links = [folder], list[Path]()
    while waiting:
        inner = waiting.pop()
        identity = _identity(inner)
        if identity in known:
            continue
        known.add(identity)
        try:
            with os.scandir(inner) as entries:
                for entry in entries:
                    if hidden(entry.name):
                        found.hidden += 1
                        continue
                    _sort(entry, inner / entry.name, place, found, files, links, waiting)
        except OSError as error:
            found.lines.append(f"{_name(inner, place)}: cannot be read ({error.strerror or error}). Check its rights.")
    return links


def _sort(
    entry: os.DirEntry[str],
    path: Path,
    place: Path,
    found: Walk,
    files: list[Path],
    links: list[Path],
    inner: list[Path],
) -> None:
    """Put one entry of a folder where it belongs."""
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        if entry.is_symlink():
            found.lost.append(_name(path, place))
        else:
            found.lines.append(f"{_name(path, place)}: cannot be read ({error.strerror or error}). Check the path.")
        return
    if stat.S_ISDIR(mode):
        (links if entry.is_symlink() else inner).append(path)
    elif stat.S_ISREG(mode):
        files.append(path)
    else:
        found.lines.append(f"{_name(path, place)}: is a pipe, a socket or a device, no file. Remove it.")


def _identity(folder: Path) -> object:
    """Return what stands for a folder whatever its path: device and number, or its real path where there is none."""
    try:
        about = os.stat(folder)
    except OSError:
        return os.path.realpath(folder)
    return (about.st_dev, about.st_ino) if about.st_ino else os.path.realpath(folder)


def _head(file: Path) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read(container.HEAD)
    except OSError:
        return b""


def _name(path: Path, place: Path) -> str:
    """Return a path below `place` as text that can be printed and stored."""
    name = path.relative_to(place).as_posix() if path != place else path.name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
