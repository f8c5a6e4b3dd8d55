"""A codec that is a command line: a program of anybody's, as a distortion.

    [codecs.x265]
    encode = "ffmpeg -v error -i {input} -frames:v 1 -c:v libx265 -pix_fmt yuv444p -x265-params qp={strength} {output}"
    decode = "ffmpeg -v error -i {input} -frames:v 1 {output}"
    strengths = [10, 14, 18, 22, 26, 30, 34, 38, 42, 46]
    unit = "QP"
    suffix = ".265"

No shell reads the command: it is split into words, and the words are given to the program as they are.
"""

import functools
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any

import msgspec
import numpy as np

from limen import digest, registry
from limen.distortion import Distortion, Render
from limen.errors import InputError
from limen.image import Image, contents, decode, png
from limen.ladder import Ladder

PLACES = {"input", "output", "strength"}
_PLACE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHOWN = 200  # characters of what a program says


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a codec.

    Attributes:
        encode: the command that codes: {input} stands for a PNG, {output} for the file to write, {strength} for the
            level's strength.
        strengths: of levels 1..n, from the weakest to the strongest; in a study file a rule may stand for them.
        decode: the command that turns the coded file {input} into a picture {output} (PNG); none for a format that
            limen reads.
        unit: of the strengths.
        suffix: of the coded file, with its dot, for programs that go by it.
        word: what the question calls it; the name and "compression" if not given.
        version: of the program, in your words; another version is another distortion.
        seconds: how long each command may take.
    """

    encode: str
    strengths: tuple[float, ...]
    decode: str = ""
    unit: str = "strength"
    suffix: str = ".bin"
    word: str = ""
    version: str = ""
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 60.0


@dataclass(frozen=True, slots=True)
class Command:
    """A command line in words, with places that are filled in.

    Attributes:
        name: of the codec, for messages.
        words: program and arguments.
        seconds: how long it may take.
    """

    name: str
    words: tuple[str, ...]
    seconds: float

    def run(self, given: Path, made: Path, strength: float) -> None:
        """Run it.

        Args:
            given: the file that stands for {input}.
            made: the file it is to write, {output}.
            strength: of the level.

        Raises:
            InputError: it cannot be started, takes too long, ends with another code than 0, or writes nothing.
        """
        places = {"input": str(given), "output": str(made), "strength": f"{strength:.12g}"}
        words = [_PLACE.sub(lambda found: places[found[1]], word) for word in self.words]
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(
                    words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=self.seconds, check=False
                )
            except subprocess.TimeoutExpired:
                raise InputError(
                    f"{self._at(strength)} took over {self.seconds:g} s. Give it more seconds, or smaller pictures."
                ) from None
            except (OSError, ValueError) as error:
                cause = getattr(error, "strerror", None) or error
                raise InputError(f"{self._at(strength)} cannot be started ({cause}). Check its command.") from None
            last = _last_line(said)
        if done.returncode:
            said_last = last or "it said nothing"
            raise InputError(f"{self._at(strength)} ended with exit code {done.returncode}: {said_last}.")
        if not made.is_file() or not made.stat().st_size:
            raise InputError(f"{self._at(strength)} wrote no file {{output}}: {last or 'it said nothing'}.")

    def _at(self, strength: float) -> str:
        return f"Codec {self.name}: {PurePath(self.words[0]).name} at strength {strength:.12g}"


def of_command(
    name: str,
    encode: str,
    strengths: Sequence[float],
    *,
    decode: str = "",
    unit: str = "strength",
    suffix: str = ".bin",
    word: str = "",
    version: str = "",
    seconds: float = 60.0,
) -> Distortion:
    """Return a codec that is a command line, as a distortion.

    Args:
        name: of the distortion: letters, digits, '.', '_' and '-'.
        encode: the command that codes, with {input} (a PNG), {output} and {strength}.
        strengths: of levels 1..n, from the weakest to the strongest.
        decode: the command that makes of the coded file {input} a PNG {output}, of the same size; "" where the coded
            file is of a format that limen reads.
        unit: of the strengths.
        suffix: of the coded file.
        word: what the question calls it; the name and "compression" if not given.
        version: of the program; together with the commands it makes the distortion's version.
        seconds: how long each command may take, > 0.

    Raises:
        InputError: a command lacks a place, has an unknown one, or names a program that is not there. When it is
            drawn: the program fails, takes too long, or gives no picture of the size it got.

    Examples:
        >>> import sys, limen
        >>> from limen.codec import of_command
        >>> copy = [sys.executable, "-c", "import sys, shutil; shutil.copy(*sys.argv[1:3])"]
        >>> import shlex
        >>> codec = of_command("copy", shlex.join(copy) + " {input} {output} {strength}", [1, 2])
        >>> codec.word, codec.ladder.unit
        ('copy compression', 'strength')
    """
    given = {
        "encode": encode, "strengths": tuple(strengths), "decode": decode, "unit": unit, "suffix": suffix, "word": word,
        "version": version, "seconds": seconds,
    }  # fmt: skip
    return of_table(name, given)


def of_table(name: str, given: Mapping[str, Any]) -> Distortion:
    """Return a codec from its settings.

    Args:
        name: of the distortion.
        given: `Options` by name.

    Raises:
        InputError: as `of_command` does.
    """
    where = f"codec {name!r}"
    options = registry.settings(where, given, Options)
    if not _NAME.fullmatch(name):
        raise InputError(f"{where}: a name has letters, digits, '.', '_' and '-', 64 at most. Give it another one.")
    if not re.fullmatch(r"\.[A-Za-z0-9]{1,16}", options.suffix):
        raise InputError(f"{where}: suffix cannot be {options.suffix!r:.40}. Give a dot and letters or digits.")
    encode = _command(name, "encode", options.encode, options.seconds, PLACES)
    back = None
    if options.decode:
        back = _command(name, "decode", options.decode, options.seconds, PLACES - {"strength"})
    encoded = functools.partial(_encoded, encode, options.suffix)

    def prepare(image: Image, rng: np.random.Generator) -> Render:
        return lambda strength: _decoded(name, back, options.suffix, encoded(image, strength), strength, image.shape)

    # A manifest's versions go up to a million (`distortion.of_function`).
    whole = digest.of([options.encode, options.decode, options.suffix, options.version])
    return Distortion(
        name,
        options.word or f"{name} compression",
        Ladder(options.strengths, options.unit),
        prepare,
        1 + int(whole, 16) % 10**6,
        f"Code and decode by a command line: {_told(encode.words)}.",
        encoded=encoded,
        outside=f"coded by a command line ({_told(encode.words)})",
    )


def _command(name: str, which: str, text: str, seconds: float, needed: set[str]) -> Command:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(f"codec {name!r}: {which} cannot be split into words ({error}). Close its quotes.") from None
    if not words:
        raise InputError(f"codec {name!r}: {which} is empty. Give a command with {_listed(needed)}.")
    places = {place for word in words for place in _PLACE.findall(word)}
    if unknown := sorted(places - PLACES):
        raise InputError(
            f"codec {name!r}: {which} has a place {{{unknown[0]}}}, which nothing stands for. Known: {_listed(PLACES)}."
        )
    if missing := sorted(needed - places):
        raise InputError(f"codec {name!r}: {which} has no {{{missing[0]}}}. Put it where the program takes it.")
    if shutil.which(words[0]) is None:
        raise InputError(f"codec {name!r}: there is no program {words[0]!r:.80}. Install it, or give its whole path.")
    return Command(name, words, seconds)


def _encoded(command: Command, suffix: str, image: Image, strength: float) -> bytes:
    """Return the bytes of the coded file."""
    with tempfile.TemporaryDirectory(prefix="limen-codec-") as folder:
        given, made = Path(folder) / "input.png", Path(folder) / f"coded{suffix}"
        given.write_bytes(png(image))
        command.run(given, made, strength)
        return contents(made)


def _decoded(
    name: str, command: Command | None, suffix: str, data: bytes, strength: float, shape: tuple[int, ...]
) -> Image:
    if command is not None:
        with tempfile.TemporaryDirectory(prefix="limen-codec-") as folder:
            given, made = Path(folder) / f"coded{suffix}", Path(folder) / "output.png"
            given.write_bytes(data)
            command.run(given, made, strength)
            data = contents(made)
    picture = decode(data, f"Codec {name}: what it gives at strength {strength:.12g}", smallest=1)
    if picture.shape != shape:
        sizes = [f"{width}x{height}" for height, width, _ in (picture.shape, shape)]
        raise InputError(
            f"Codec {name}: gives a picture of {sizes[0]} px for one of {sizes[1]} px. Size alone would tell them "
            "apart: crop the pictures to sides that it keeps."
        )
    return picture


def _last_line(said: Any) -> str:
    """Return the last line that a program said, printable and not too long."""
    said.seek(0, 2)
    said.seek(max(0, said.tell() - 4096))
    lines = said.read().decode(errors="replace").strip().splitlines() or [""]
    return "".join(c for c in lines[-1] if c.isprintable()).strip().rstrip(".")[-_SHOWN:]


def _told(words: Sequence[str]) -> str:
    """Return a command for manifests and pages, without the folders of this computer."""
    return " ".join(PurePath(word).name if PurePath(word).is_absolute() else word for word in words)[:_SHOWN]


def _listed(places: set[str]) -> str:
    return ", ".join(f"{{{place}}}" for place in sorted(places))
