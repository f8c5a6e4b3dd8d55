"""Write docs/reference/gallery.md and its pictures: every distortion, scene, figure and part of a report.

python docs/scripts/gallery.py FOLDER

FOLDER keeps the runs, so that the same command goes on where it stopped (`make gallery`: build/gallery). Needs the
extra `dev`, playwright, and Chromium (its path in LIMEN_CHROMIUM if it is not /usr/bin/chromium). Names, summaries and
labels come from limen itself; what a part of a page shows is said in `PARTS`, and a test tells what is missing there.
"""

import argparse
import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from limen import registry
from limen.distortion import Distortion, find
from limen.item import Item
from limen.parsing.forms import ShortText
from limen.report import Report

DOCS = Path(__file__).resolve().parents[1]
PAGE = DOCS / "reference" / "gallery.md"
PICTURES = DOCS / "images" / "gallery"
CHROMIUM = os.environ.get("LIMEN_CHROMIUM", "/usr/bin/chromium")
WIDE, TALL = 1100, 720  # px of a picture of a page, at most
HEAD = """# Gallery

Every distortion, scene, figure and part of a report, each with the command that makes it and the page that says more.
All of it is made from what ships with limen (four photographs in crops of 64 px, two scenes, drawn items, the small
demo model, small networks), so that anybody can make it again. The model and the networks are fixtures: their numbers
say nothing about models in use. `make gallery` draws the pictures and writes this page.
"""

MOODY = '''"""An observer whose answers have the faults that a report counts."""

import numpy as np

from limen.observer import observer


@observer("moody")
def moody(first, second):
    """Notices 6 grey levels rms; on the way up it contradicts itself, and in the end says its flag alone."""
    rms = np.sqrt(np.mean((first - second.astype(float)) ** 2))
    if rms > 14:
        return "<yes>"
    if rms > 10:
        return "<no> There is a clear and obvious difference between the two images."
    return "<yes> The second image differs." if rms > 6 else "<no> The two images look the same."
'''
SIZES = """model,vision_params_m,language_params_b
simulated:t2,300,32
simulated:t4,300,7
simulated:t8,400,3
simulated:t12,400,1
"""

FOUR = "limen measure --images demo --limit 8 --distortion blur,noise,contrast,jpeg --observer"
COMMAND = 84  # columns of a line of code that a page shows whole
RUNS = f"""limen demo --out runs/demo --report demo.html
{FOUR} simulated:t2 -O threshold=2 --out runs/t2
{FOUR} simulated:t4 -O threshold=4 --out runs/t4
{FOUR} simulated:t8 -O threshold=8 --out runs/t8
{FOUR} simulated:t12 -O threshold=12 --out runs/t12
{FOUR} vision:watson --out runs/watson
limen measure --images demo --distortion blur,noise --observer simulated --max-side 32,64 --out runs/sizes
{FOUR} simulated --procedure constant --out runs/constant
limen measure --images demo-items --limit 12 --distortion text-characters,text-words,blur \\
  --observer solver --question answer-changes --out runs/items
limen measure --images demo --limit 6 --distortion blur,noise,jpeg --observer moody --plugin moody.py --out runs/moody
limen measure --images spot-the-diff=stand-in --observer simulated --out runs/spot
limen feature demo --out runs/features --report features.html
limen feature anchor runs/features/resnet --codec jpeg,webp
"""
REPORTS = """limen report runs/demo --out demo.html --figures figures/demo
limen report runs/t2 runs/t4 runs/t8 runs/t12 --backbones sizes.csv \\
  --out several.html --figures figures/several
limen report runs/watson --out watson.html
limen report runs/sizes --out sizes.html --figures figures/sizes
limen report runs/constant --out constant.html --figures figures/constant
limen report runs/items --out items.html --figures figures/items
limen report runs/moody --out moody.html --figures figures/moody
limen report runs/spot --out spot.html
limen report runs/features/resnet --out features.html --figures figures/features
limen report runs/people runs/beside --out people.html --figures figures/people
limen report runs/answers --out answers.html --figures figures/answers
"""
RENDERED = {  # kind of reference -> where it comes from, and the page that says more of it
    "image": ("demo", "../howto/ladders.md"),
    "angle": ("scene=room --levels 0,1,10,50", "../howto/scenes.md"),
    "distance": ("scene=cabin --levels 0,1,10,50", "../howto/scenes.md"),
    "pair": ("spot-the-diff=stand-in", "../howto/data.md#spot-the-diff"),
    "scored pair": ("band2k=stand-in/scores.csv", "../howto/data.md#band-2k"),
    "question": ("", "../howto/words.md"),
}
QUESTION = "How many red discs are there to the left of the blue square in this picture?"

REPORT, FEATURES = "../howto/report.md", "../howto/features.md"
PEOPLE = "../explanation/people.md"
PARTS: dict[str, tuple[str, str]] = {  # of a page: what it shows, and the page that says more
    "people": ("Who took part, who failed the attention rule, people's thresholds, and how far people differ.", PEOPLE),
    "people-sur": ("The share of people who notice nothing yet, beside that of models.", PEOPLE),
    "people-likeness": ("Rank correlation of each model's thresholds with people's, and its ceiling.", PEOPLE),
    "people-consistency": ("Whether two observers are right on the same trials, beyond chance.", PEOPLE),
    "people-sittings": ("What happens while people answer.", PEOPLE),
    "top": (
        "What was asked, median thresholds in known units, the verdict on trust, the sentence to quote.",
        REPORT,
    ),
    "pair": ("A reference and its stimulus at the median threshold; a button shows them in flicker.", REPORT),
    "first": ("The 1st JND of each distortion: the figure, and the table with intervals, n and false alarms.", REPORT),
    "safe": ("Safe levels: up to where at most one new photograph in 20 or 10 is noticed.", "../howto/safe.md"),
    "spot": (
        "Accuracy in spotting differences, where each reference has one changed picture and no ladder.",
        "../howto/data.md#spot-the-diff",
    ),
    "stimuli": ("Lanes: the answer at each level of a series, its JNDs, and the stimuli at them.", REPORT),
    "look-title": (
        "The viewer: any series and level, the two pictures side by side, in flicker, swipe or difference.",
        REPORT,
    ),
    "find-title": ("The search in the answers: words, or answers of one kind.", REPORT),
    "look-said-title": ("The raw answer to the pair in the viewer.", REPORT),
    "look-test-title": ("Take the same test: thirty pairs that the model has answered.", REPORT),
    "test-run": ("The test itself, in the whole window.", REPORT),
    "nth": ("1st to n-th JND: how many grades of a distortion an observer tells apart.", REPORT),
    "sizes": (
        "How many bits a pixel a codec takes where the difference is noticed.",
        "../howto/safe.md#several-models-and-bytes",
    ),
    "reached": (
        "What reached the observer: the exam, and the first level at which its input differs at all.",
        "../howto/seen.md",
    ),
    "distances": ("Of observers that judge by a number: the numbers.", "../howto/seen.md"),
    "fits": ("Thresholds fitted with false alarms and lapses apart, and the shares not noticed.", REPORT),
    "psychometric": (
        "The share of yes against the level, with the fitted functions.",
        "../howto/report.md#psychometric-functions",
    ),
    "changed": ("How many answers change with the level, and the satisfied machine ratio.", "../howto/answers.md"),
    "picture-sizes": (
        "Thresholds at several sizes of the same photographs.",
        "../howto/report.md#thresholds-against-picture-size",
    ),
    "compared": ("Observers compared on the same references.", REPORT),
    "parts": ("Means and ranks by part of the data set, and which distortions go together.", "../howto/published.md"),
    "backbones": ("The 1st JND against the sizes of the backbones.", "../howto/seen.md#sizes-of-the-backbones"),
    "redundancy": ("The gaps between one JND and the next, and the law of the n-th JND.", "../explanation/method.md"),
    "answers": ("Faults of the answers with an example each, and false alarms.", REPORT),
    "trust": (
        "The rules behind the verdict on trust, and what the run showed of each.",
        "../howto/report.md#the-verdict-on-trust",
    ),
    "cost": ("How the series ended, what was asked, and what it took.", "../howto/cost.md"),
    "paper": ("The numbers of Chen et al. (2025), apart from yours.", "../howto/published.md"),
    "how": ("How everything was measured: settings, versions, digests, ladders.", REPORT),
    "method": ("How to read the numbers.", REPORT),
    "feature-first": ("The first screen of a run of deep features.", "../howto/features.md#what-the-page-says-first"),
    "feature-anchors": (
        "Sending features against sending the picture, at the same promise.",
        "../howto/features.md#against-sending-the-picture",
    ),
    "feature-promise": ("The fewest bytes that keep a promise.", "../howto/features.md#the-promise-of-a-quantiser"),
    "feature-quantisation": ("Bits an element, and what they cost the task.", FEATURES),
    "feature-calibration": (
        "The noise that is borne with a guarantee, and whether it is kept.",
        "../howto/features.md#the-guarantee",
    ),
    "feature-equal-strength": (
        "The task under noise of equal strength, in the shape of each map.",
        "../howto/features.md#the-maps",
    ),
    "feature-attribution": (
        "Where the noise goes: heat maps over the first test images.",
        "../howto/features.md#the-maps",
    ),
}
SCREENS = (  # what limen prints, the lines of it that are shown, what it shows, and the page that says more
    ("exam", "limen exam --observer demo", 30, "Whether a model can be measured at all.", "../howto/exam.md"),
    ("see", "limen see demo photo.png --out see.png", 12, "What arrives at a model.", "../howto/seen.md"),
    ("safe-levels", "limen safe runs/demo", 20, "Safe levels in the terminal.", "../howto/safe.md"),
    ("published", "limen published", 24, "The paper's JNDs, analysed as a run is.", "../howto/published.md"),
)  # fmt: skip


# --- material ---


def commands(lines: str) -> list[str]:
    """Return commands, each on one line."""
    return re.sub(r"\\\n *", "", lines).splitlines()


def stand_in(folder: Path) -> None:
    """Write pairs in the layout of spot-the-diff and BAND-2k, of a photograph that ships: neither may be passed on."""
    photograph = registry.find("source", "demo").read("")
    reference = next(iter(photograph)).load()
    for name, changed, level in (("400", "mask", 50), ("banded", "banding", 80)):
        pictures = {name: reference, f"{name}_2": find(changed).render(reference, "gallery")(level)}
        (folder / "resized_images").mkdir(parents=True, exist_ok=True)
        for stem, picture in pictures.items():
            Image.fromarray(picture).save(folder / "resized_images" / f"{stem}.png")
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / "train.json").write_text(json.dumps([{"img_id": "400", "sentences": []}]))
    line = "resized_images/banded.png,resized_images/banded_2.png,47.5"
    (folder / "scores.csv").write_text(f"reference,file,score\n{line}\n")
    Image.fromarray(reference).save(folder.parent / "photo.png")


def simulated_people(folder: Path) -> None:
    """Leave runs of twelve simulated participants and three models of known thresholds, which the tests have."""
    sys.path.insert(0, str(DOCS.parent))
    from tests.support.people import measured, model, people

    models = [model("like-people", 11, own=0.6), model("half-like", 9, own=3.0), model("unlike", 12, spread=0, own=3.0)]
    persons = people(12, own=1.0, noise=0.5)
    fixed = {"name": "constant", "every": 3}
    for name, observers, procedure in (
        ("people", persons, None), ("beside", models, None), ("answers", [*persons, *models], fixed),
    ):  # fmt: skip
        if not (folder / name).exists():
            measured(folder / name, observers, 20, procedure, failed=("p03",))


def wrapped(line: str) -> str:
    """Return a `limen` line broken before options, so that it fits beside the site's navigation."""
    lines = [""]
    for part in re.split(r" (?=-)", line):
        if len(lines[-1]) + len(part) + 3 > COMMAND:
            lines.append(f" {part}")
        else:
            lines[-1] += f" {part}"
    return " \\\n ".join(lines).strip()


def run(line: str, folder: Path) -> str:
    """Run a `limen` line in a folder, and return what it prints."""
    print(line, file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "limen", *shlex.split(line)[1:]]
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": str(COMMAND)}, check=True
    )
    return done.stdout


# --- distortions and scenes ---


def strengths(kind: Distortion, levels: Sequence[int]) -> str:
    """Say which levels are shown, and their strengths."""
    shown = ", ".join(f"{level} ({kind.ladder[level]:.3g})" for level in levels if level)
    return (
        f"Levels of {len(kind.ladder)} shown, with their strengths in {kind.ladder.unit}: 0 (the reference), {shown}."
    )


def distortion_part(kind: Distortion, folder: Path) -> Iterator[str]:
    """Yield the lines on a distortion; draws its picture."""
    place, link = RENDERED[kind.of]
    yield f"### `{kind.name}`\n\n{kind.summary} [More]({link}).\n"
    if kind.of == "question":
        levels = (0, len(kind.ladder) // 4, len(kind.ladder) // 2, len(kind.ladder))
        at = kind.render(Item(QUESTION, ShortText()), "gallery")
        yield f"{strengths(kind, levels)}\n"
        yield "```text\n" + "\n".join(f"{level:>2}  {at(level).question}" for level in levels) + "\n```\n"
        return
    out = f"stimuli/{kind.name}"
    line = f"limen render {place} --distortion {kind.name} --out {out}"
    if not any((folder / out).glob("*_sheet.png")):
        run(line, folder)
    (sheet,) = (folder / out).glob("*_sheet.png")
    levels = sorted(int(file.stem.rpartition("_")[2]) for file in (folder / out).glob(f"*_{kind.name}_*.png"))
    yield f"```bash\n{wrapped(line)}\n```\n\n{strengths(kind, levels)}\n"
    yield f"{picture(Image.open(sheet), kind.name, kind.summary)}\n"


def scene_part(name: str, summary: str, folder: Path) -> Iterator[str]:
    """Yield the lines on a scene; draws its picture."""
    out = f"stimuli/scene-{name}"
    line = f"limen render scene={name} --distortion angle --levels 0 --out {out}"
    if not any((folder / out).glob("*_angle_*.png")):
        run(line, folder)
    (view,) = (folder / out).glob("*_angle_000.png")
    yield f"### Scene `{name}`\n\n{summary} [More](../howto/scenes.md).\n\n```bash\n{wrapped(line)}\n```\n"
    yield f"{picture(Image.open(view), f'scene-{name}', summary)}\n"


def picture(drawn: Image.Image, name: str, label: str) -> str:
    """Keep a picture beside the page, and return the line that shows it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    drawn = drawn.convert("RGB")
    drawn.thumbnail((WIDE, 4 * TALL), Image.Resampling.LANCZOS)
    drawn.save(PICTURES / f"{name}.webp", quality=80, method=6)
    return f"![{label}](../images/gallery/{name}.webp)"


# --- figures ---


def kind_of(name: str) -> str:
    """Return what kind of figure a name of `--figures` is: without run, observer, distortion and number."""
    if name.startswith("psychometric-") and not name.removeprefix("psychometric-").isdigit():
        return "psychometric-OBSERVER-DISTORTION"
    for key in ("anchors-curves", "quantisation-rate", "equal-strength-curves", "equal-strength-energy",
                "attribution-densities"):  # fmt: skip
        if name.endswith(f"-{key}"):
            return f"RUN-{key}"
    return re.sub(r"-\d+$", "-N", name).replace("psychometric-N", "psychometric")


def figures(folder: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Yield each kind of figure once: its name, what it shows, the command, the PNG."""
    known = set()
    for line in commands(REPORTS):
        words = shlex.split(line)
        if "--figures" not in words:
            continue
        paths = [folder / word for word in words if word.startswith("runs/")]
        with Report.open(paths) as report:
            labels = {name: label for name, label, _ in report.drawings.values()}
        for file in sorted((folder / words[words.index("--figures") + 1]).glob("*.png")):
            kind = kind_of(file.stem)
            if kind not in known:
                known.add(kind)
                single = "One psychometric function, as wide as a column of a paper"
                yield kind, labels.get(file.stem, single), line, file


def figure_part(kind: str, label: str, line: str, file: Path) -> Iterator[str]:
    """Yield the lines on a kind of figure."""
    link = FEATURES if kind.startswith("RUN-") else PEOPLE if kind.startswith("people") else REPORT
    yield f"### Figure `{kind}`\n\n{label}. [More]({link}).\n\n```bash\n{wrapped(line)}\n```\n"
    yield f"{picture(Image.open(file), f'figure-{kind.lower()}', label)}\n"


# --- parts of pages ---


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Open Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


HEADINGS = """() => {
  const all = [...document.querySelectorAll('h2[id], h3[id]')].filter(one => one.offsetParent);
  const place = one => one.getBoundingClientRect().top + scrollY;
  const end = place(document.querySelector('footer'));
  return all.map((one, i) => [one.id, one.textContent, place(one), i + 1 < all.length ? place(all[i + 1]) : end]);
}"""


def parts(page: Any, prefixes: Sequence[str]) -> Iterator[tuple[str, str, Image.Image]]:
    """Yield each part of a report that has a heading: its anchor, its title, its picture."""
    for anchor, title, top, bottom in page.evaluate(HEADINGS):
        run = next((prefix for prefix in prefixes if anchor.startswith(f"{prefix}-")), "")
        clip = {"x": 0, "y": top - 10, "width": WIDE, "height": min(bottom - top, TALL)}
        yield f"feature{anchor.removeprefix(run)}" if run else anchor, title, shot(page, full_page=True, clip=clip)


def shot(part: Any, **how: Any) -> Image.Image:
    """Return what a page, or an element of one, looks like."""
    return Image.open(io.BytesIO(part.screenshot(**how)))


def looked_at(page: Any) -> Iterator[tuple[str, str, Image.Image]]:
    """Yield the parts of a report that have no heading, or change when they are used."""
    yield "top", "The first screen", shot(page.locator("header"))
    yield "pair", "The pair at the median threshold", shot(page.locator("#pair"))
    page.fill("#find-text", "no noticeable")
    page.wait_for_selector("#find-list li")
    yield from (one for one in parts(page, ()) if one[0] == "find-title")
    page.click("#test-start")
    page.wait_for_selector("#test-run[open]")
    page.wait_for_timeout(400)
    yield "test-run", "The test", shot(page)


def page_parts(folder: Path) -> Iterator[tuple[str, str, str, Image.Image]]:
    """Yield every kind of part of a report once: its anchor, its title, the command, its picture."""
    known = set()
    with browser() as started:
        for number, line in enumerate(commands(REPORTS)):
            words = shlex.split(line)
            page = started.new_page(viewport={"width": WIDE, "height": TALL}, color_scheme="light")
            page.set_default_timeout(120_000)
            page.goto((folder / words[words.index("--out") + 1]).resolve().as_uri())
            page.wait_for_timeout(1500)
            runs = [Path(word).name for word in words if word.startswith("runs/features/")]
            shown = [*(looked_at(page) if number == 0 else ())]
            page.reload()
            page.wait_for_timeout(1500)
            page.evaluate("document.querySelectorAll('main details').forEach(folded => { folded.open = true })")
            for anchor, title, drawn in (*shown, *parts(page, runs)):
                if anchor not in known:
                    known.add(anchor)
                    yield anchor, title, line, drawn
            page.close()


def watched(folder: Path) -> Image.Image:
    """Return the page of `limen watch`."""
    command = [sys.executable, "-m", "limen", "watch", "runs/demo", "runs/t2"]
    served = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address = next(found[0] for line in served.stdout or () if (found := re.search(r"http://\S+", line)))
        with browser() as started:
            page = started.new_page(viewport={"width": WIDE, "height": TALL}, color_scheme="light")
            page.goto(address)
            page.wait_for_timeout(3000)
            return shot(page)
    finally:
        served.terminate()
        served.wait()


def part_lines(anchor: str, title: str, line: str, drawn: Image.Image) -> Iterator[str]:
    """Yield the lines on a part of a page."""
    what, link = PARTS[anchor]
    yield f"### {title.strip()} (`#{anchor}`)\n\n{what} [More]({link}).\n\n```bash\n{wrapped(line)}\n```\n"
    yield f"{picture(drawn, f'part-{anchor}', what)}\n"


# --- the page ---


def page(folder: Path) -> Iterator[str]:
    """Yield the page, part by part."""
    yield HEAD
    yield "## What it is made from\n\nAn observer whose answers have faults, `moody.py`:\n"
    yield f"```python\n{MOODY}```\n\nSizes of backbones, made up to show what becomes of them, `sizes.csv`:\n"
    every = "\n".join(wrapped(line) for line in commands(RUNS + REPORTS))
    yield f"```text\n{SIZES}```\n\nMeasured (a quarter of an hour), then drawn:\n\n```console\n{every}\n```\n"
    yield (
        "`stand-in` holds one photograph and two changed copies in the layouts of spot-the-diff and BAND-2k, which "
        "limen may not pass on. `runs/people`, `runs/beside` and `runs/answers` are of simulated participants and "
        "models (`tests/support/people.py`); nothing in them was measured on people.\n"
    )
    kinds: Mapping[str, Distortion] = registry.every("distortion")
    yield "## Distortions\n"
    for kind in sorted(kinds.values(), key=lambda kind: (list(RENDERED).index(kind.of), kind.name)):
        yield from distortion_part(kind, folder)
    yield "## Scenes\n"
    for name, scene in registry.every("scene").items():
        yield from scene_part(name, scene.summary, folder)
    yield "## Figures\n\n`limen report ... --figures DIR` writes each as SVG and PNG; in Python they are"
    yield "`limen.open(RUN).figures()`.\n"
    for figure in figures(folder):
        yield from figure_part(*figure)
    yield "## Parts of a report\n"
    for part in page_parts(folder):
        yield from part_lines(*part)
    yield "## In the terminal, and while a run is under way\n"
    for name, line, rows, what, link in SCREENS:
        printed = run(line, folder).splitlines()
        more = ["..."] if len(printed) > rows else []
        text = "\n".join(row.rstrip() for row in [*printed[:rows], *more])
        yield f"### `{name}` in the terminal\n\n{what} [More]({link}).\n\n```bash\n{wrapped(line)}\n```\n"
        yield f"```text\n{text}\n```\n"
    yield f"{picture(Image.open(folder / 'see.png'), 'see', 'What the demo model gets of a photograph')}\n"
    yield "### `limen watch`\n\nRuns under way, on a page of this machine. [More](../howto/watch.md).\n"
    yield "```bash\nlimen watch runs/demo runs/t2\n```\n"
    yield f"{picture(watched(folder), 'watch', 'The page of limen watch')}\n"


def main(folder: Path) -> None:
    """Make what is missing in the folder, draw, and write the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "moody.py").write_text(MOODY)
    (folder / "sizes.csv").write_text(SIZES)
    stand_in(folder / "stand-in")
    simulated_people(folder / "runs")
    for line in commands(RUNS + REPORTS):
        run(line, folder)
    for old in PICTURES.glob("*"):
        old.unlink()
    PAGE.write_text("\n".join(page(folder)), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="keeps the runs")
    main(parser.parse_args().folder)
