"""Groups of images: how they are named, what is refused, and that no two parts share one."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from torch import nn

from limen import digest
from limen.cli import run as command
from limen.errors import InputError, StoreError
from limen.feature import stages, task
from limen.feature.calibration import band, rank
from limen.feature.data import grouping, parts
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network
from limen.feature.run import FeatureRun
from limen.report import Report

from .test_run import network, plan

CLASSIFY = task.find("classification")
NAMES = ["cat/a_crop0.png", "cat/a_crop1.png", "dog/b_crop0.png"]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        (r"(.*)_crop\d+", ["cat/a", "cat/a", "dog/b"]),
        (r"([^/]*)_crop\d+", ["a", "a", "b"]),
        (r"(cat|dog)/(?P<photograph>\w)_", ["a", "a", "b"]),
        ("folder", ["cat", "cat", "dog"]),
    ],
)
def test_a_group_is_what_the_expression_finds_or_the_folder(by: str, groups: list[str]) -> None:
    assert grouping.grouped(NAMES, by) == groups


def test_folders_are_below_classes() -> None:
    names = ["cat/1/a.png", "cat/1/b.png", "dog/1/a.png"]
    assert grouping.grouped(names, "folder", above=1) == ["cat/1", "cat/1", "dog/1"]
    with pytest.raises(InputError, match="3 of 3 images lie in no folder of their own below their class: 'cat/a_crop0"):
        grouping.grouped(NAMES, "folder", above=1)


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("(", "'(' is no regular expression (missing ), unterminated subpattern"),
        ("crop", "'crop' has no group in brackets"),
        (
            "(.*)_frame",
            "3 of 3 images do not match --group-by '(.*)_frame': 'cat/a_crop0.png', 'cat/a_crop1.png', 'dog/",
        ),
        ("cat/(.)", "1 of 3 images do not match --group-by 'cat/(.)': 'dog/b_crop0.png'. Give an expression"),
        ("(x*)", "3 of 3 images do not match"),  # it finds nothing everywhere: no group
        ("nowhere.csv", "nowhere.csv cannot be read as a CSV file of groups"),
    ],
)
def test_what_users_meet_is_one_line(by: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        grouping.grouped(NAMES, by)
    assert "\n" not in str(caught.value)


def test_groups_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("name,group\n" + "".join(f"{name},{name[4]}\n" for name in NAMES))
    assert grouping.grouped(NAMES, str(file)) == ["a", "a", "b"]
    with pytest.raises(InputError, match=r"1 of 4 images have no group in .*groups\.csv: 'new\.png'. Write a line for"):
        grouping.grouped([*NAMES, "new.png"], str(file))
    file.write_text("name,group\na,1\na,2\n")
    with pytest.raises(InputError, match="line 3: 'a' is in group '1' and in '2'"):
        grouping.grouped(NAMES, str(file))
    file.write_text("a,1\n")
    with pytest.raises(InputError, match="has no column 'name'. Its first line has to be: name,group"):
        grouping.grouped(NAMES, str(file))


def test_no_two_parts_share_a_group_and_each_image_that_counts_has_its_own() -> None:
    groups = [f"{number % 40}" for number in range(200)]  # 40 groups of five
    for seed in range(20):
        fit, calibrate, test = (
            [groups[place] for place in part] for part in grouping.divided("x", groups, seed, (22, 15, 20))
        )
        assert (len(fit), len(calibrate), len(test)) == (22, 15, 20)
        assert not {*fit} & {*calibrate} | {*fit} & {*test} | {*calibrate} & {*test}
        assert (len({*calibrate}), len({*test})) == (15, 20)
        assert sorted(fit.count(group) for group in {*fit}) == [2, 5, 5, 5, 5]  # whole, but for what is too many
        assert len({*fit[:8]}) > 2  # mixed, so that who looks at the first ones sees many groups
    assert len({tuple(grouping.divided("x", groups, seed, (22, 15, 20))[2].tolist()) for seed in range(20)}) == 20
    again = [grouping.divided("x", groups, 3, (22, 15, 20)) for _ in range(2)]
    assert all((one == other).all() for one, other in zip(*again, strict=True))


@pytest.mark.parametrize("wanted", [(22, 15, 21), (30, 15, 20), (201, 1, 1), (1, 1, 39)])
def test_parts_that_would_be_short_are_refused(wanted: tuple[int, int, int]) -> None:
    groups = [f"{number % 40}" for number in range(200)]
    with pytest.raises(
        InputError, match=r"x holds 200 images in 40 groups, which are too few: \d+ images to fit"
    ) as caught:
        grouping.divided("x", groups, 0, wanted)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="in 2 groups, which are too few"):
        grouping.divided("x", ["a", "b"] * 50, 0, (2, 2, 2))


def test_coverage_over_fresh_photographs_is_what_was_promised_for_one_image_of_each() -> None:
    """Images of a photograph bear nearly alike: taken all, they would tell of few photographs as if of many."""
    groups = [f"{number // 10}" for number in range(4_000)]
    source = np.random.default_rng(1)
    borne = np.repeat(source.normal(size=400), 10) + 0.1 * source.normal(size=4_000)
    n, m, rho = 59, 100, 0.1
    low, high = band(n, m, rho)

    def inside(calibrate: np.ndarray, test: np.ndarray) -> bool:
        scale = np.sort(borne[calibrate])[rank(n, rho) - 1]
        return bool(low <= (borne[test] >= scale).mean() <= high)

    ones = [grouping.divided("x", groups, seed, (200, n, m))[1:] for seed in range(300)]
    assert np.mean([inside(*one) for one in ones]) > 0.92  # .95 is to be expected, with a standard error of .013
    whole = [np.random.default_rng(seed).permutation(400) for seed in range(300)]
    all_of_them = [
        [np.concatenate([np.arange(10 * group, 10 * group + 10) for group in part])[:count]
         for part, count in ((order[:6], n), (order[6:16], m))]
        for order in whole
    ]  # fmt: skip
    assert np.mean([inside(*one) for one in all_of_them]) < 0.7  # what would happen with whole groups


def photographs(folder: Path, labels: tuple[str, ...] = ("cat", "dog"), count: int = 12) -> Path:
    """Write so many photographs a class, three crops of each."""
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            for crop in range(3):
                pixels = np.full((64, 64, 3), 20 * number + crop, np.uint8)
                Pillow.fromarray(pixels).save(folder / label / f"{number}_crop{crop}.png")
    return folder


def test_groups_of_a_folder_of_classes_and_none_as_ever(tmp_path: Path) -> None:
    folder = str(photographs(tmp_path / "val"))
    net = Network(nn.Identity(), labels=("cat", "dog"))
    sizes = SubsetSizes(9, 8, 8)

    def divided(**given: str) -> list[list[str]]:
        found = parts.parts(folder, CLASSIFY, net, 0, sizes, **given)  # type: ignore[arg-type]
        return [[part.example(i).name for i in range(len(part))] for part in (found.fit, found.calibrate, found.test)]

    grouped = divided(group_by=r"(.*)_crop")
    photograph = [{name.split("_")[0] for name in part} for part in grouped]
    assert [len(one) for one in photograph] == [3, 8, 8]
    assert not photograph[0] & photograph[1] | photograph[0] & photograph[2] | photograph[1] & photograph[2]
    inside = sorted(f"{number}_crop{crop}.png" for number in range(12) for crop in range(3))
    names = [f"{label}/{name}" for label in ("cat", "dog") for name in inside]
    order = digest.generator("parts", 0).permutation(72)
    assert divided() == [[names[at] for at in part] for part in np.split(order[:25], [9, 17])]  # as ever
    with pytest.raises(InputError, match="Scenes are drawn one by one, so there is nothing to group them by. Leave"):
        parts.parts("scenes", CLASSIFY, net, 0, sizes, group_by="(.)")


def test_a_run_of_groups_says_so_and_finds_its_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, file = photographs(tmp_path / "PRIVATE" / "val", ("3", "7")), tmp_path / "PRIVATE" / "groups.csv"
    lines = [f"{path.parent.name}/{path.name},{path.parent.name} {path.name[:2]}" for path in data.rglob("*.png")]
    file.write_text("\n".join(["name,group", *lines]))
    given = plan(
        data=str(data), group_by=str(file), seeds=1, sizes=SubsetSizes(6, 8, 9), maps={"flat": ("flat", {})}, eps=5.0
    )
    out = tmp_path / "somewhere" / "run"
    with FeatureRun.begin(out, given, "cpu", network()) as run:
        stages.fit(run), stages.calibrate(run), stages.evaluate(run, (1.0,))
        names = [
            {part.example(i).name for i in range(len(part))} for part in (run.parts(0).calibrate, run.parts(0).test)
        ]
    assert "PRIVATE" not in (out / "manifest.json").read_text()
    with Report.open([out]) as made:
        made.page(tmp_path / "page.html")
    told = (tmp_path / "page.html").read_text()
    assert "images, which share no group (by groups.csv); calibration and test have one image of each group." in told
    assert "Images are grouped by groups.csv: no two parts share a group, and calibration and test take one" in told
    assert "classification on val, one image each of groups by groups.csv to calibrate and test on." in told
    monkeypatch.chdir(out)
    with pytest.raises(
        StoreError, match="begun with the groups in 'groups.csv', which is neither beside it nor here. Put"
    ):
        FeatureRun.open(out, "cpu", network(), data=str(data))
    shutil.copy(file, out.parent)
    with FeatureRun.open(out, "cpu", network(), data=str(data)) as run:
        part = run.parts(0)
        assert names == [{one.example(i).name for i in range(len(one))} for one in (part.calibrate, part.test)]
    (out.parent / "groups.csv").write_text(file.read_text().replace("3 10", "3 11"))
    with pytest.raises(StoreError, match="another study: data was"):
        FeatureRun.open(out, "cpu", network(), data=str(data))
    with pytest.raises(StoreError, match="another study: plan.group_by was .groups.csv. there and is"):
        FeatureRun.begin(out, dataclasses.replace(given, group_by="(.*)_crop"), "cpu", network())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--group-by", "("], "'(' is no regular expression"),
        (["--group-by", r"(.*)_crop\d"], r"100 images to fit take 24 whole groups"),
        (["--group-by", "folder"], "72 of 72 images lie in no folder of their own below their class"),
    ],
)
def test_mistakes_of_the_command_line(
    given: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = str(photographs(tmp_path / "val", ("disk", "ring")))
    model = ["--model", "demo:resnet", "--split", "resnet.encoder.stages.1", "--device", "cpu", "--data", data]
    sizes = ["--images-fit", "100", "--images-calibrate", "9", "--images-test", "9", "--out", str(tmp_path / "run")]
    assert command(["feature", "fit", *model, *sizes, *given]) == 1
    err = capfd.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
