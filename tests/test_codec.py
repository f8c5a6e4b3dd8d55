"""Codecs that are command lines: what they are given, what comes back, and what is said when they fail."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import limen
from limen import image, testing
from limen.codec import of_command
from limen.distortion import Distortion
from limen.errors import InputError, StoreError
from limen.report.images import renderer
from limen.study import Study, load

# Keeps every so many grey levels, as raw bytes behind a header of its own; a mode makes it misbehave.
CODEC = """
import sys, time
import numpy as np
from PIL import Image
what, given, made, *rest = sys.argv[1:]
if what == "fail":
    print("first line"); sys.exit("no such preset")
elif what == "sleep":
    time.sleep(30)
elif what == "nothing":
    print("nothing to do")
elif what == "encode":
    pixels = np.asarray(Image.open(given)) // int(rest[0]) * int(rest[0])
    height, width, _ = pixels.shape
    open(made, "wb").write(b"MINE%06d%06d" % (height, width) + pixels.tobytes())
elif what == "decode":
    data = open(given, "rb").read()
    size = int(data[4:10]), int(data[10:16])
    pixels = np.frombuffer(data[16:], np.uint8).reshape(*size, 3)
    Image.fromarray(pixels).save(made)
elif what == "shrink":
    Image.open(given).resize((40, 40)).save(made)
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    file = tmp_path / "a codec.py"
    file.write_text(CODEC)
    return shlex.join([sys.executable, str(file)])


def codec(program: str, version: str = "") -> Distortion:
    return of_command(
        "mine", f"{program} encode {{input}} {{output}} {{strength}}", [4, 16, 64],
        decode=f"{program} decode {{input}} {{output}}", unit="step", version=version, suffix=".mine",
    )  # fmt: skip


def test_what_is_coded_and_decoded(program: str) -> None:
    kind, photograph = codec(program), testing.photograph("a", 40, 56)
    at = kind.render(photograph, "key")
    assert at(0) is photograph
    for level, step in enumerate((4, 16, 64), start=1):
        assert np.array_equal(at(level), photograph // step * step)
    assert kind.encoded is not None
    assert len(kind.encoded(photograph, 16)) == 16 + photograph.size
    assert (kind.word, kind.ladder.unit, kind.of) == ("mine compression", "step", "image")


def test_a_format_that_limen_reads_needs_no_decoder(program: str) -> None:
    kind = of_command("copy", f"{program} shrink {{input}} {{output}} {{strength}}", [1, 2], suffix=".png")
    picture = testing.photograph("a", 40, 40)
    assert kind.render(picture, "key")(1).shape == (40, 40, 3)
    with pytest.raises(InputError, match=r"Codec copy: gives a picture of 40x40 px for one of 56x40 px\."):
        kind.render(testing.photograph("a", 40, 56), "key")(1)


def test_commands_and_version_are_part_of_the_distortions_version(program: str) -> None:
    first, same, other = codec(program), codec(program), codec(program, version="2.1")
    assert first.version == same.version != other.version
    assert all(1 <= one.version <= 10**6 for one in (first, other))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("fail", r"Codec mine: python\S* at strength 7 ended with exit code 1: no such preset\."),
        ("nothing", r"Codec mine: python\S* at strength 7 wrote no file \{output\}: nothing to do\."),
        ("sleep", r"Codec mine: python\S* at strength 7 took over 1 s\. Give it more seconds"),
        ("encode", r"Codec mine: what it gives at strength 7: is not an image that limen reads"),
    ],
)
def test_failures_are_named(program: str, what: str, message: str) -> None:
    kind = of_command(
        "mine", f"{program} {what} {{input}} {{output}} {{strength}}", [7, 8], seconds=1 + 9 * (what != "sleep")
    )
    with pytest.raises(InputError, match=message):
        kind.render(testing.photograph("a", 40, 56), "key")(1)


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        ("no-such-program {input} {output} {strength}", r"codec 'x': there is no program 'no-such-program'"),
        ("python {input} {output}", r"codec 'x': encode has no \{strength\}"),
        (
            "python {input} {outptu} {strength}",
            r"codec 'x': encode has a place \{outptu\}.* Known: \{input\}",
        ),
        ("python '{input}", r"codec 'x': encode cannot be split into words \(No closing quotation\)"),
        (" ", r"codec 'x': encode is empty"),
    ],
)
def test_commands_that_cannot_work_are_known_at_once(encode: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        of_command("x", encode, [1, 2])


def test_no_shell_reads_the_command(program: str, tmp_path: Path) -> None:
    hidden = tmp_path / "made by a shell"
    kind = of_command(
        "mine", f"{program} encode {{input}} {{output}} {{strength}} ; touch {shlex.quote(str(hidden))}", [1, 2]
    )
    with pytest.raises(InputError, match="is not an image that limen reads"):
        kind.render(testing.photograph("a", 40, 40), "key")(1)
    assert not hidden.exists()


def study(program: str, version: str = "1") -> str:
    return (
        'images = ["in"]\nobservers = ["simulated"]\nexam = false\n'
        "[codecs.mine]\n"
        f"encode = '''{program} encode {{input}} {{output}} {{strength}}'''\n"
        f"decode = '''{program} decode {{input}} {{output}}'''\n"
        'strengths = { from = 2, to = 128, levels = 7, spacing = "geometric" }\n'
        f'unit = "step"\nversion = "{version}"\n'
    )


def test_a_study_file_measures_its_codec_and_no_other(program: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.png").write_bytes(image.png(testing.photograph(name, 40, 56)))
    file, out = tmp_path / "study.toml", tmp_path / "run"
    file.write_text(study(program))
    progress = Study.plan(load(file)).run(out)
    assert (progress.done, progress.unfinished) == (2, [])
    run = limen.open(out)
    assert [(row.distortion, row.levels, row.n) for row in run.jnds] == [("mine", 7, 2)]
    entry = run.analysis.manifest.distortions["mine"]
    assert entry.strengths == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
    assert "coded by a command line (python" in entry.outside
    assert str(tmp_path) not in entry.outside
    assert Study.plan(load(file)).run(out).asked == 0
    with limen.Store.open(out) as store, pytest.raises(InputError, match="The stimuli are coded by a command line"):
        renderer(store, next(iter(store.series())))
    file.write_text(study(program, version="2"))
    with pytest.raises(StoreError, match="holds another study: distortion mine.version was"):
        Study.plan(load(file)).run(out)


def test_a_codec_of_a_study_file_is_told_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    for wrong, message in (
        ("encode = 'python {input} {output}'\nstrengths = [1, 2]", r"study\.toml line 3: codec 'mine': encode has no"),
        ("encode = 'python'", r"study\.toml line 3: codec 'mine' needs strengths"),
        ("encoder = 'python'", r"study\.toml line 3: codec 'mine' has no setting 'encoder'\. Did you mean 'encode'"),
        ("strengths = [1, 3, 2]", r"study\.toml line 3: codecs\.mine\.strengths: turns at level 2"),
    ):
        file.write_text(f'images = ["demo"]\nobservers = ["simulated"]\n[codecs.mine]\n{wrong}\n')
        with pytest.raises(InputError, match=message):
            load(file)


def test_names_of_limens_own_are_taken(program: str, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(study(program).replace("[codecs.mine]", "[codecs.jpeg]"))
    with pytest.raises(InputError, match=r"line 4: Distortion 'jpeg' is limen's own name for another one"):
        load(file)


def test_from_python(program: str) -> None:
    run = limen.measure(testing.photograph("a", 40, 56), "simulated", codec(program), exam=False)
    assert [(row.distortion, row.unit) for row in run.jnds] == [("mine", "step")]
