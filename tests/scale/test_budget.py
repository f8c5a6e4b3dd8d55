"""What the whole of VPA-JND costs: the page's figures are the command's, and the command's follow from the paper's."""

import json
import re
from pathlib import Path

import pytest

from limen import procedure as procedures
from limen.analysis.forecast import Asking, by_threshold
from limen.scale import budget
from tests.support.command import limen

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
COMMAND = ("measure", "--dry-run", "--data-set", "vpa-jnd")
ROWS = re.findall(r"^\| `limen (.+?)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.M)


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def test_the_page_shows_what_its_command_says() -> None:
    ((command, shown),) = re.findall(r"```bash\nlimen (.+?)\n```\n\n```text\n(.*?)```", PAGE.read_text(), re.S)
    done = limen(*command.split())
    assert done.returncode == 0
    assert lines(done.stdout)[: len(lines(shown))] == lines(shown)
    assert lines(done.stdout)[len(lines(shown)) + 1].startswith("Questions: the procedure played with simulated")


@pytest.mark.parametrize("row", ROWS[:2], ids=lambda row: row[0].split()[-1])
def test_each_procedure_costs_what_the_page_says(row: tuple[str, ...]) -> None:
    done = limen(*row[0].split())
    (every,) = [line for line in lines(done.stdout) if line.strip().startswith("all ")]
    assert re.split(r"\s{2,}", every.strip())[1:] == list(row[1:])


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS[2:], ids=lambda row: row[0].split()[-1])
def test_procedures_that_learn_cost_what_the_page_says(row: tuple[str, ...]) -> None:
    test_each_procedure_costs_what_the_page_says(row)


def test_the_page_has_four_procedures() -> None:
    assert [row[0].split()[-1] for row in ROWS] == ["skip", "scan", "certify", "psi"]


def test_a_fixed_procedure_is_exact() -> None:
    given = (*COMMAND, "--procedure", "constant", "-P", "levels=1,25,50", "--throughput", "2", "--price", "in=1,out=1")
    found = {}
    for flags in ((), ("--no-identical-pairs",)):
        each = json.loads(limen(*given, *flags, "--json").stdout)["costs"]
        assert [one["questions"]["exact"] for one in each] == [True] * 21
        assert len({one["questions"]["expected"] for one in each[:20]}) == 1
        (found[flags],) = {one["questions"]["expected"] for one in each[:20]}
        assert each[-1]["questions"]["expected"] == 20 * each[0]["questions"]["expected"]
        assert each[-1]["series"] == 20 * 34_233
    graded, pairs = 8 * 1_008 + 504 + 200, 2_000 + 10_388 + 13_077
    assert found["--no-identical-pairs",] == 3 * graded + pairs
    assert found[()] == 4 * graded + 2 * pairs
    hours = {one["model"]: one["gpu_hours"] for one in each}
    assert hours["GPT-4o (2024-11-20)"] is None
    assert hours["Qwen2-VL-7B"]["expected"] == pytest.approx((3 * graded + pairs) / 2 / 3_600)
    assert sum(one is not None for one in hours.values()) == 17
    for one in each:
        tokens = one["tokens_in"]["expected"] + one["tokens_out"]["expected"]
        assert one["price"]["expected"] == pytest.approx(tokens / 1e6)


def test_later_jnds_take_more_and_scan_takes_about_its_level() -> None:
    scan = by_threshold(procedures.make("scan", {}), 50, Asking(identical=False))
    for first in (4.0, 12.5, 25.0, 40.0):
        assert float(scan.at(first).mean()) == pytest.approx(first + 2, rel=0.35)
    means = [float(scan.at(first).mean()) for first in (1.0, 4.0, 12.5, 25.0, 40.0, 62.5)]
    assert means == sorted(means)
    assert means[-1] == pytest.approx(50, rel=0.15)


def test_models_that_notice_early_are_cheaper() -> None:
    found = budget.costs("vpa-jnd", procedures.make("skip", {}))
    assert len(found) == 21
    assert [one.model for one in found[-2:]] == ["Gemini 2.0 Flash", "all"]
    assert [one.questions.expected for one in found[:20]] == sorted(
        (one.questions.expected for one in found[:20]), reverse=True
    )
    assert all(one.price is None and one.gpu_hours is None for one in found)
    assert found[-1].questions.expected == pytest.approx(sum(one.questions.expected for one in found[:20]))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            ("--observer", "demo"),
            "--data-set prices the whole of vpa-jnd for the paper's models and takes no observers.",
        ),
        (("--images", "demo"), "takes no images."),
        (("--limit", "5"), "takes no limit."),
        (("--shard", "1/4"), "takes no shard."),
        (("--out", "runs/a"), "takes no out."),
        (("--latency", "2"), "takes no latency."),
        (("--procedure", "skipp"), "No procedure named 'skipp'. Did you mean 'skip'?"),
    ],
)
def test_what_it_does_not_take(flags: tuple[str, ...], told: str) -> None:
    done = limen(*COMMAND, *flags)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("--data-set", "vpa-jnd"), ("--dry-run", "--images", "demo", "--observer", "demo", "--throughput", "5")]
)
def test_it_belongs_to_a_dry_run(words: tuple[str, ...]) -> None:
    done = limen("measure", *words)
    assert done.stderr == (
        "limen: --data-set goes with --dry-run, and --throughput with both: limen measure --dry-run --data-set "
        "vpa-jnd.\n"
    )


def test_other_data_sets() -> None:
    done = limen("measure", "--dry-run", "--data-set", "vpa-jdn")
    assert done.stderr == "limen: No data set named 'vpa-jdn'. Did you mean 'vpa-jnd'? Known: vpa-jnd.\n"
