"""Studies in rounds of batch files find what `limen measure` finds, though a service loses and doubles lines."""

import dataclasses
import itertools
import os
import re
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from limen.analysis import SeriesStatus, analyse
from limen.image import png
from limen.question import DRAWS
from limen.scale.batch import formats
from limen.store import Store
from limen.store.ledger import Ledger, Line, Round
from limen.testing import photograph
from tests.preflight.test_exam import Sighted
from tests.support import native
from tests.support.command import limen
from tests.support.endpoint import Endpoint, completion
from tests.support.service import Service

NOBODY = "http://127.0.0.1:9/v1"
SKIP = ("--distortion", "noise,contrast")


def words(photos: Path, *more: object, url: str = NOBODY) -> list[object]:
    return ["--images", photos, "--observer", "openai:toy", "--base-url", url, "-O", "label=toy", *more]


def live(photos: Path, out: Path, *more: object) -> int:
    """Measure at an endpoint, and return how many questions it was asked."""
    with Endpoint(threshold=8.0) as server:
        done = limen("measure", *words(photos, *more, url=server.base_url), "--no-exam", "--out", out)
        assert done.returncode == 0, done.stderr
        return len(server.requests)


def write(photos: Path, tmp_path: Path, *more: object) -> dict[str, Any]:
    done = limen(
        "batch", "write", *words(photos, *more), "--no-exam", "--out", tmp_path / "run", "--to", tmp_path / "files",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(orjson.loads(done.stdout))


def read(tmp_path: Path, *files: Path) -> dict[str, Any]:
    done = limen("batch", "read", tmp_path / "run", *files, "--json")
    assert done.returncode == 0, done.stderr
    return dict(orjson.loads(done.stdout))


def paths(made: dict[str, Any]) -> list[Path]:
    return [Path(file["path"]) for file in made["files"]]


def in_rounds(photos: Path, tmp_path: Path, service: Service, *more: object) -> list[int]:
    """Finish a study in rounds, and return how many lines each had."""
    lines, further, found = list[int](), (), dict[str, Any]()
    for number in itertools.count(1):
        made = write(photos, tmp_path, *more, *further)
        if number > 1:  # what reading said is what writing finds
            mine = (made["done"], made["open"], made["waiting"], len(made["left"]))
            assert tuple(found["standing"][name] for name in ("done", "open", "waiting", "left")) == mine
        if not made["files"]:
            assert made["done"] == made["series"]
            assert not made["open"] + made["waiting"] + len(made["left"])
            return lines
        assert made["round"] == number
        lines.append(made["lines"])
        before = {what: (service.came[what], sum_of(tmp_path, what)) for what in ("ok", "failed")}
        back = service.answer(paths(made), tmp_path / f"answers-{number}")
        if any(file.stat().st_size for file in back):
            found = read(tmp_path, *back)
        else:
            assert "files are empty" in limen("batch", "read", tmp_path / "run", *back).stderr
            found |= {"rounds": [], "answered": 0, "failed": {}, "missing": 0}
        for what, (came, kept) in before.items():
            assert service.came[what] - came == sum_of(tmp_path, what) - kept
        answered, failed = found["answered"], sum(found["failed"].values())
        further = () if found["rounds"] else ("--again",)  # all of it lost: nobody can know but who sent it
        assert found["rounds"] in ([], [number])
        assert answered + failed + found["missing"] == (made["lines"] if found["rounds"] else 0)
    raise AssertionError


def sum_of(tmp_path: Path, what: str) -> int:
    """Return how many attempts the run has that were answered, or that failed."""
    with Store.open(tmp_path / "run") as store:
        return sum(count for (_, outcome), count in store.attempts().items() if (outcome == "ok") is (what == "ok"))


def facts(run: Path) -> tuple[Any, Any]:
    """Return every trial with its answer, and every outcome with its verdicts."""
    with Store.open(run) as store:
        trials = [
            (t.series, t.reference, t.level, t.draw, t.again, t.part, t.key, t.wording, t.form, t.answer and (
                t.answer.text, t.answer.p_yes, t.answer.p_neither, t.answer.finish, t.answer.tokens_in, t.answer.model))
            for t in store.trials()
        ]  # fmt: skip
        outcomes = [
            (o.series.id, o.question, o.status, o.thresholds, o.estimates, [(r.probe, r.verdict) for r in o.responses])
            for o in analyse(store).outcomes
        ]
        return trials, outcomes


@pytest.mark.parametrize(
    ("study", "lines"),
    [
        pytest.param(SKIP, [16, 10, 9, 9, 8, 4, 4, 3, 1], id="skip"),
        pytest.param((*SKIP, "--look-ahead", "2"), [56, 38, 17, 6], id="skip, two steps ahead"),
        pytest.param((*SKIP, "--procedure", "constant"), [88, 12, 2, 1], id="constant levels"),
        pytest.param((*SKIP, "--procedure", "certify", "--limit", "1"), None, marks=pytest.mark.slow, id="certify"),
        pytest.param(("--distortion", "noise", "--jnds", "0"), None, marks=pytest.mark.slow, id="n-th JNDs"),
    ],
)
def test_rounds_find_what_the_endpoint_finds(
    tmp_path: Path, photos: Path, study: tuple[object, ...], lines: list[int] | None
) -> None:
    asked = live(photos, tmp_path / "live", *study)
    service = Service(lost=0.05, doubled=0.01, failed=0.05)
    counted = in_rounds(photos, tmp_path, service, *study)
    assert facts(tmp_path / "run") == facts(tmp_path / "live")
    assert lines is None or counted == lines
    assert sum(counted) == service.asked.total() == sum(service.came[what] for what in ("ok", "lost", "failed"))
    assert service.came["lost"]
    assert service.came["failed"]
    assert not service.twice  # what was answered is asked once
    if "--look-ahead" not in study:
        assert service.came["ok"] == asked


@pytest.mark.slow
def test_psi_learns_in_the_same_waves(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(10):  # a wave of 8 and one of 2
        (photos / f"{number}.png").write_bytes(png(photograph(str(number), 64, 80)))
    study = ("--distortion", "noise", "--procedure", "psi", "-P", "trials=4")
    asked = live(photos, tmp_path / "live", *study)
    service = Service(lost=0.05, doubled=0.01)
    lines = in_rounds(photos, tmp_path, service, *study)
    assert facts(tmp_path / "run") == facts(tmp_path / "live")
    assert len(lines) >= 8  # four for each wave
    assert service.came["ok"] == asked
    for run in ("run", "live"):
        with Store.open(tmp_path / run) as store:
            assert set(store.priors("openai:toy", "direct")) == {("noise", 1)}


@pytest.mark.parametrize(("temperature", "draws"), [(0, 1), (1, DRAWS)])
def test_all_draws_of_a_picture_shown_alone_go_in_one_round(tmp_path: Path, temperature: int, draws: int) -> None:
    words = (
        "--images", "demo-items", "--limit", "2", "--distortion", "blur", "--question", "answer-changes", "--observer",
        "openai:toy", "--base-url", NOBODY, "-O", f"temperature={temperature}", "--no-exam", "--out", tmp_path / "run",
        "--to", tmp_path / "files", "--json",
    )  # fmt: skip
    made = orjson.loads(limen("batch", "write", *words).stdout)
    assert (made["series"], made["open"], made["lines"]) == (2, 2, 2 * draws)  # the undistorted pictures
    names = [orjson.loads(line)["custom_id"] for line in file_text(paths(made)).splitlines()]
    said = completion("None of these.")
    rows = [{"custom_id": name, "response": {"status_code": 200, "body": said}, "error": None} for name in names]
    (tmp_path / "came.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    found = read(tmp_path, tmp_path / "came.jsonl")
    assert (found["answered"], found["standing"]["open"]) == (2 * draws, 2)
    again = orjson.loads(limen("batch", "write", *words).stdout)
    # One item cannot read it and is asked in other words; the other is through: a stimulus, and the reference again.
    assert (again["round"], again["lines"]) == (2, draws + 2 * draws)
    assert not names_of(again) & set(names)


def names_of(made: dict[str, Any]) -> set[str]:
    return {orjson.loads(line)["custom_id"] for line in file_text(paths(made)).splitlines()}


def test_a_run_begun_in_files_is_finished_at_the_endpoint_and_the_other_way_round(tmp_path: Path, photos: Path) -> None:
    whole = live(photos, tmp_path / "live", *SKIP)
    service = Service()
    made = write(photos, tmp_path, *SKIP)
    read(tmp_path, *service.answer(paths(made), tmp_path / "answers"))
    assert live(photos, tmp_path / "run", *SKIP) == whole - made["lines"]
    assert facts(tmp_path / "run") == facts(tmp_path / "live")
    assert not write(photos, tmp_path, *SKIP)["files"]

    half = tmp_path / "half"
    with Endpoint(threshold=8.0) as server:
        given = words(photos, *SKIP, url=server.base_url)
        limen("measure", *given, "--no-exam", "--out", half / "run", "--max-questions", "20")
        assert len(server.requests) == 20
    lines = in_rounds(photos, half, Service(), *SKIP)
    assert sum(lines) == whole - 20
    assert facts(half / "run") == facts(tmp_path / "live")


def test_reading_again_changes_nothing(tmp_path: Path, photos: Path) -> None:
    made = write(photos, tmp_path, *SKIP)
    back = Service(failed=0.3).answer(paths(made), tmp_path / "answers")
    first = read(tmp_path, *back)
    assert first["answered"] + sum(first["failed"].values()) == 16
    before = (facts(tmp_path / "run"), tables(tmp_path / "run"))
    again = read(tmp_path, *back, *back)
    assert (again["answered"], again["failed"], again["before"], again["doubled"]) == (0, {}, 16, 16)
    assert (facts(tmp_path / "run"), tables(tmp_path / "run")) == before
    assert write(photos, tmp_path, *SKIP)["round"] == 2
    late = read(tmp_path, *back)  # of round 1, after round 2 was written
    assert (late["answered"], late["failed"]) == (0, {})


def tables(run: Path) -> dict[str, list[Any]]:
    with Store.open(run) as store:
        return {name: sorted(map(repr, store.columns(name)[1])) for name in ("answer", "attempt", "query")}


def test_the_next_round_waits_for_the_last_unless_told(tmp_path: Path, photos: Path) -> None:
    made = write(photos, tmp_path, *SKIP)
    given = (*words(photos, *SKIP), "--no-exam", "--out", tmp_path / "run", "--to", tmp_path / "files")
    refused = limen("batch", "write", *given)
    assert refused.returncode == 1
    assert "Nothing has come back for round-001/openai-toy-1.jsonl" in refused.stderr
    assert not (tmp_path / "files" / "round-002").exists()
    again = write(photos, tmp_path, *SKIP, "--again")
    assert (again["round"], again["lines"]) == (2, made["lines"])
    back = Service().answer([*paths(made), *paths(again)], tmp_path / "answers")
    found = read(tmp_path, *back)  # the answers to both are worth the same; the first stands
    assert (found["answered"], found["before"], found["rounds"]) == (made["lines"], made["lines"], [1, 2])
    assert found["differing"] == 0


def test_lines_that_are_no_answers_are_counted_and_never_verdicts(tmp_path: Path, photos: Path) -> None:
    made = write(photos, tmp_path, "--distortion", "noise", "--procedure", "constant", "--limit", "1")
    (file,) = paths(made)
    service, names = Service(), [orjson.loads(line)["custom_id"] for line in file.read_bytes().splitlines()]
    answers, _ = service.answer([file], tmp_path / "answers")
    by_name = {row["custom_id"]: row for row in map(orjson.loads, answers.read_bytes().splitlines())}
    good = [by_name[name] for name in names]
    good[1]["response"]["body"]["choices"] = []  # a reply without an answer
    good[2]["response"] |= {"status_code": 429, "body": {"error": {"message": "Rate limit reached."}}}
    good[3]["response"]["body"]["choices"][0]["finish_reason"] = "content_filter"
    good[3]["response"]["body"]["choices"][0]["message"]["content"] = None
    good[4]["response"]["body"]["choices"][0]["finish_reason"] = "length"  # cut off: an answer, whatever it says
    good[5]["response"]["body"]["choices"][0] |= {"finish_reason": "length", "message": {"content": ""}}
    good[6] |= {"response": None, "error": {"code": "batch_cancelled", "message": "Cancelled."}}
    good[7] |= {"response": None, "error": None}
    other = {
        **good[8],
        "response": {"status_code": 200, "body": {"choices": [{"message": {"content": "<yes> Else."}}]}},
    }
    stranger = {**good[8], "custom_id": f"{'0' * 32}-1"}
    rows = [*good, other, stranger]
    text = b"\n".join([*map(orjson.dumps, rows), b"", b'{"custom_id": "' + names[9].encode()])  # cut off
    (tmp_path / "came.jsonl").write_bytes(text)
    found = read(tmp_path, tmp_path / "came.jsonl")
    assert found["failed"] == {
        "empty": 1, "rate-limited": 1, "cut-off": 1, "cancelled": 1, "malformed": 1,
    }  # fmt: skip
    assert found["answered"] == len(names) - 5
    assert (found["doubled"], found["differing"], found["unknown"], found["broken"]) == (1, 1, 1, 1)
    with Store.open(tmp_path / "run") as store:
        answers_kept = {trial.key: trial.answer for trial in store.trials()}
        assert store.get(names[1].partition("-")[0]) is None
        refused = answers_kept[names[3].partition("-")[0]]
        assert refused is not None
        assert (refused.text, refused.finish) == ("", "content_filter")
        assert {o.status for o in analyse(store).outcomes} == {SeriesStatus.UNFINISHED}
    # What passes is written again; what was cut off would be again, and is left until told.
    second = write(photos, tmp_path, "--distortion", "noise", "--procedure", "constant", "--limit", "1")
    assert 0 < second["lines"] <= 5
    assert names[5].partition("-")[0] not in file_text(paths(second))


def file_text(files: list[Path]) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in files)


def test_what_would_fail_again_is_left_open_until_told(tmp_path: Path, photos: Path) -> None:
    study = ("--distortion", "noise", "--limit", "1", "--no-identical-pairs")
    (file,) = paths(write(photos, tmp_path, *study))
    name = orjson.loads(file.read_bytes())["custom_id"]
    error = {"error": {"message": "Invalid image: could not process image data.", "code": "invalid_image"}}
    row = {"id": "1", "custom_id": name, "response": {"status_code": 400, "body": error}, "error": None}
    (tmp_path / "errors.jsonl").write_bytes(orjson.dumps(row))
    assert read(tmp_path, tmp_path / "errors.jsonl")["failed"] == {"rejected": 1}
    given = (*words(photos, *study), "--no-exam", "--out", tmp_path / "run", "--to", tmp_path / "files")
    told = limen("batch", "read", tmp_path / "run", tmp_path / "errors.jsonl")
    assert "0 of 1 series done, 0 open, 1 left open by failures. limen batch write --again asks" in told.stdout
    left = limen("batch", "write", *given)
    assert left.returncode == 2
    assert "left open: openai:toy noise a: rejected" in left.stderr.replace(".png", "")
    assert "Nothing is left to ask: 0 of 1 series done" in left.stdout
    assert write(photos, tmp_path, *study, "--again")["lines"] == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "came.jsonl is empty. Give what the service sent back"),
        (b"\xff\xfe{\0", "in UTF-16: another program"),
        (b"\x1f\x8b\x08\0", "compressed. Unpack it first"),
        (b'{\n "error": {\n  "message": "No such File object: file-1"\n }\n}', "it says 'No such File object: file-1'"),
        (b'{"custom_id": "%s-1", "response": {"status_code": 200, "body": {}}}' % (b"0" * 32), "answers nothing that"),
        (b"<html>", "holds no line of a service's answers"),
        (None, "holds the questions, not the answers"),
    ],
)
def test_a_file_of_something_else_is_refused_in_one_line(
    tmp_path: Path, photos: Path, content: bytes | None, told: str
) -> None:
    (written,) = paths(write(photos, tmp_path, "--distortion", "noise", "--limit", "1"))
    file = tmp_path / "came.jsonl"
    file.write_bytes(written.read_bytes() if content is None else content)
    done = limen("batch", "read", tmp_path / "run", file)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert told in done.stderr
    good, _ = Service().answer([written], tmp_path / "answers")
    if content != b"":
        both = limen("batch", "read", tmp_path / "run", good, file)
        assert both.returncode == 1
        assert both.stderr.rstrip().endswith("Nothing was read: give the other files without it.")
        assert not sum_of(tmp_path, "ok")
    else:  # of two files one may hold nothing: what failed, where nothing failed
        assert read(tmp_path, good, file)["answered"] == 2


@pytest.mark.parametrize("form", ["anthropic", "gemini"])
def test_answers_of_another_service_are_no_failures(tmp_path: Path, photos: Path, form: str) -> None:
    made = write(photos, tmp_path, "--distortion", "noise", "--limit", "1")
    good, _ = Service().answer(paths(made), tmp_path / "answers")
    first, second = sorted(names_of(made))
    rows = {
        "anthropic": {"custom_id": first, "result": {"type": "succeeded", "message": {"content": []}}},
        "gemini": {"key": first, "response": {"candidates": []}},
    }
    (tmp_path / "other.jsonl").write_bytes(orjson.dumps(rows[form]))
    done = limen("batch", "read", tmp_path / "run", tmp_path / "other.jsonl")
    assert done.returncode == 1
    assert f"lines of another format, {form}'s, where" in done.stderr
    mine = [line for line in good.read_bytes().splitlines() if second.encode() in line]
    (tmp_path / "mixed.jsonl").write_bytes(b"\n".join([*mine, orjson.dumps(rows[form]), b'{"custom_id"']))
    done = limen("batch", "read", tmp_path / "run", tmp_path / "mixed.jsonl")
    assert "1 new answer, 0 failures, 1 without a line" in done.stdout
    told = "not used: 1 of another format, 1 that cannot be read; fetch the file again and read it again"
    assert told in done.stdout


def test_a_text_that_the_model_ended_empty_is_an_answer_as_at_the_endpoint(tmp_path: Path, photos: Path) -> None:
    made = write(photos, tmp_path, "--distortion", "noise", "--limit", "1")
    rows = []
    for name, content in zip(sorted(names_of(made)), ("", None), strict=True):
        body = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
        rows.append({"custom_id": name, "response": {"status_code": 200, "body": body}})
    (tmp_path / "came.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    found = read(tmp_path, tmp_path / "came.jsonl")
    assert (found["answered"], found["unreadable"], found["failed"]) == (1, 1, {"empty": 1})


def test_what_cannot_be_read_or_written_is_said_in_one_line(tmp_path: Path, photos: Path) -> None:
    live(photos, tmp_path / "plain", *SKIP, "--limit", "1")
    cases = [
        (("read", tmp_path / "nothing", tmp_path / "x"), "is not a run directory"),
        (("read", tmp_path / "plain", tmp_path / "x"), "has no questions in files"),
        (
            ("write", "--images", photos, "--observer", "simulated", "--out", tmp_path / "s", "--to", tmp_path / "f"),
            "simulated has no batch files",
        ),
        (
            (
                "write",
                *words(photos, *SKIP),
                "--base-url",
                "http://127.0.0.1:1/v1",
                "--out",
                tmp_path / "s",
                "--to",
                tmp_path / "f",
            ),
            "is behind 2 endpoints, and a batch file goes to one service. Give one base_url.",
        ),
        (
            ("write", *words(photos, *SKIP), "--out", tmp_path / "s", "--to", tmp_path / "f", "--format", "gemini"),
            "whose files hold other requests",
        ),
        (
            ("write", *words(photos, *SKIP), "--out", tmp_path / "s", "--to", tmp_path / "f", "--format", "opanai"),
            "Did you mean 'openai'?",
        ),
    ]
    for arguments, told in cases:
        done = limen("batch", *arguments)
        assert done.returncode == 1, arguments
        assert told in done.stderr
        assert len([line for line in done.stderr.splitlines() if line.startswith("limen: ")]) == 1
    (tmp_path / "file").write_text("")
    taken = limen(
        "batch", "write", *words(tmp_path / "nowhere"), "--out", tmp_path / "s", "--to", tmp_path / "file" / "x"
    )
    what = f"limen: --to is {tmp_path / 'file' / 'x'}, and {tmp_path / 'file'} is a file. Give a folder"
    assert taken.stderr == f"{what} for the files of the rounds.\n"
    write(photos, tmp_path, *SKIP)
    missing = limen("batch", "read", tmp_path / "run", tmp_path / "nowhere.jsonl")
    assert "nowhere.jsonl cannot be read" in missing.stderr
    other = limen(
        "batch", "write", *words(photos, *SKIP), "--no-exam", "--out", tmp_path / "second", "--to", tmp_path / "files"
    )
    assert "round-001 is there already, of another run perhaps" in other.stderr


def test_the_exam_is_held_at_the_endpoint_once(tmp_path: Path, photos: Path) -> None:
    with Endpoint(behaviour=Sighted(threshold=2.0), logprobs=False) as server:
        given = words(photos, "--distortion", "noise", "--limit", "1", url=server.base_url)
        places = ("--out", tmp_path / "run", "--to", tmp_path / "files")
        first = limen("batch", "write", *given, *places, "--json")
        assert first.returncode == 0, first.stderr
        examined = len(server.requests)
        assert examined > 10
        back = Service(threshold=2.0).answer(paths(orjson.loads(first.stdout)), tmp_path / "answers")
        read(tmp_path, *back)
        assert limen("batch", "write", *given, *places).returncode == 0  # round 2: passed before
        assert len(server.requests) == examined
    away = limen("batch", "write", *words(photos, *SKIP), "--out", tmp_path / "other", "--to", tmp_path / "o")
    assert away.returncode == 1
    assert "--no-exam writes files without it" in away.stderr
    assert not (tmp_path / "o").exists()


def test_log_probabilities_that_a_service_refuses_are_not_asked_for_again(tmp_path: Path, photos: Path) -> None:
    study = ("--distortion", "noise", "--limit", "3")
    (file,) = paths(write(photos, tmp_path, *study))
    assert b'"top_logprobs":20' in file.read_bytes()
    error = {"error": {"message": "logprobs is not supported by this model", "code": "unsupported_parameter"}}
    names = [orjson.loads(line)["custom_id"] for line in file.read_bytes().splitlines()]
    rows = [{"custom_id": name, "response": {"status_code": 400, "body": error}, "error": None} for name in names]
    (tmp_path / "errors.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    assert read(tmp_path, tmp_path / "errors.jsonl")["failed"] == {"logprobs-refused": 6}
    for number in (2, 3):
        made = write(photos, tmp_path, *study)
        assert (made["round"], made["left"]) == (number, [])
        assert made["lines"] == 6 or number == 3
        assert b"logprobs" not in paths(made)[0].read_bytes()
        read(tmp_path, *Service().answer(paths(made), tmp_path / f"answers-{number}"))


@pytest.mark.parametrize("form", ["openai", "mistral"])
def test_files_keep_to_the_limits_of_their_service(
    tmp_path: Path, photos: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(formats.find(form), most_lines=7, most_bytes=150_000)
    monkeypatch.setitem(formats.FORMATS, form, small)
    made = write(photos, tmp_path, *SKIP, "--procedure", "constant", "--format", form)
    assert made["lines"] == 88
    assert sum(file["lines"] for file in made["files"]) == 88
    assert all(file["lines"] <= 7 and file["bytes"] <= 150_000 for file in made["files"])
    assert len(made["files"]) >= 13
    assert all(os.path.getsize(file["path"]) == file["bytes"] for file in made["files"])
    read(tmp_path, *Service(form).answer(paths(made), tmp_path / "answers"))
    assert not write(photos, tmp_path, *SKIP, "--procedure", "constant", "--format", form)["files"]


def test_shards_in_files_merge_and_what_is_unread_of_each_stays_so(tmp_path: Path, photos: Path) -> None:
    live(photos, tmp_path / "live", *SKIP)
    service, out = Service(), ("--shard", "{}/2")
    made = {n: write(photos, tmp_path / f"s{n}", *SKIP, out[0], out[1].format(n)) for n in (1, 2)}
    assert [Path(one["files"][0]["path"]).name for one in made.values()] == ["openai-toy-1.jsonl"] * 2
    for number in (1, 2):  # the first goes on to its second round, of which nothing comes back either
        if number == 2:
            made[1] = write(photos, tmp_path / "s1", *SKIP, "--shard", "1/2")
        else:
            read(tmp_path / "s1", *service.answer(paths(made[1]), tmp_path / "answers-1"))
    shutil.copytree(tmp_path / "s2" / "run", tmp_path / "copy")  # the same as what it was copied from
    merged = tmp_path / "run"
    done = limen("merge", *(tmp_path / f"s{n}" / "run" for n in (1, 2)), tmp_path / "copy", "--out", merged)
    assert done.returncode == 0, done.stderr
    given = (*words(photos, *SKIP), "--no-exam", "--out", merged, "--to", tmp_path / "files")
    held = limen("batch", "write", *given)
    assert (held.returncode, "Nothing has come back for" in held.stderr) == (1, True)
    assert "round-001/openai-toy-1.jsonl of run #2 and 1 more" in " ".join(held.stderr.split())
    found = read(tmp_path, *service.answer(paths(made[2]), tmp_path / "answers-2"))
    assert found["unread"] == ["round-002/openai-toy-1.jsonl of run"]
    read(tmp_path, *service.answer(paths(made[1]), tmp_path / "answers-3"))
    third = write(photos, tmp_path, *SKIP)
    assert third["round"] == 3
    again = tmp_path / "again"  # merged once more, with a shard it holds already
    assert limen("merge", merged, tmp_path / "s1" / "run", "--out", again / "run").returncode == 0
    assert Ledger.of(again / "run").unread() == ["round-003/openai-toy-1.jsonl of run"]
    for place in (tmp_path, again):
        read(place, *service.answer(paths(third), place / "answers-4"))
    shutil.rmtree(tmp_path / "files")
    for number in itertools.count(4):
        more = write(photos, again, *SKIP)
        if not more["files"]:
            break
        assert more["round"] == number
        read(again, *service.answer(paths(more), again / f"answers-{number}"))
    assert facts(again / "run") == facts(tmp_path / "live")
    assert len(service.twice) == third["lines"]  # by this test itself, for two runs


def test_a_question_that_two_runs_put_into_files_is_waited_for_once() -> None:
    def known(outcome: str, other: str) -> Ledger:
        lines = {f"{'a' * 32}-1": Line(1, "f", "o", "q", "s", 0, 1, outcome=outcome)}
        lines |= {f"{other * 32}-1": Line(1, "f", "o", "q", other, 0, 1)}
        return Ledger(lines, [Round(1, "o", "openai", 0, len(lines), ["f"], 1)])

    first, second = known("ok", "b"), known("", "c")
    both = Ledger.joined([("x", first), ("y", second)])
    assert both.lines[f"{'a' * 32}-1"].outcome == "ok"
    assert both.unread() == ["round-001/f of y"]
    assert both.missing() == 1
    both = Ledger.joined([("x", known("rejected", "b")), ("y", second)])
    assert both.unread() == ["round-001/f of y"]
    later = Ledger(first.lines | {f"{'d' * 32}-2": Line(2, "g", "o", "q", "s", 0, 2)}, list(first.rounds))
    later.rounds.append(Round(2, "o", "openai", 0, 1, ["g"], 1))
    for order in ([("x", first), ("z", later)], [("z", later), ("x", first)]):  # a copy, and what went on
        assert Ledger.joined(order).unread() == ["round-002/g of z"]
        assert Ledger.joined([("m", Ledger.joined(order)), ("x", first)]).unread() == ["round-002/g of z"]


def test_a_part_that_has_not_come_back_holds_the_next_round_up(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(formats.FORMATS, "openai", dataclasses.replace(formats.find("openai"), most_lines=10))
    made = write(photos, tmp_path, *SKIP)
    first, second = paths(made)
    service = Service()
    found = read(tmp_path, *service.answer([first], tmp_path / "1"))
    assert (found["answered"], found["missing"], found["unread"]) == (10, 0, ["round-001/openai-toy-2.jsonl"])
    given = (*words(photos, *SKIP), "--no-exam", "--out", tmp_path / "run", "--to", tmp_path / "files")
    assert "openai-toy-2.jsonl" in limen("batch", "write", *given).stderr
    assert read(tmp_path, *service.answer([second], tmp_path / "2"))["answered"] == 6
    assert write(photos, tmp_path, *SKIP)["round"] == 2


def test_the_key_is_in_no_file_and_several_observers_have_files_of_their_own(tmp_path: Path, photos: Path) -> None:
    key = "sk-very-secret-0123456789"
    study = tmp_path / "study.toml"
    study.write_text(
        f"""images = ["{photos.as_posix()}"]
distortions = ["noise"]
exam = false
limit = 1
[[observers]]
name = "openai:one"
base_url = "{NOBODY}"
headers = {{ "x-team" = "env:OPENAI_API_KEY" }}
[[observers]]
name = "openai:org/two"
base_url = "{NOBODY}"
""",
        encoding="utf-8",
    )
    given = ("batch", "write", study, "--out", tmp_path / "run", "--to", tmp_path / "files")
    done = limen(*given, "--price", "in=1,out=2", environment={"OPENAI_API_KEY": key})
    assert done.returncode == 0, done.stderr
    assert "round 1: 4 questions in 2 files" in done.stdout
    assert "at most at your rates" in done.stdout
    names = sorted(file.name for file in (tmp_path / "files" / "round-001").iterdir())
    assert names == ["openai-one-1.jsonl", "openai-org-two-1.jsonl"]
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or key.encode() not in file.read_bytes()


def test_printed_rounds_say_what_there_is(tmp_path: Path, photos: Path) -> None:
    given = (*words(photos, *SKIP), "--no-exam", "--out", tmp_path / "run", "--to", tmp_path / "files")
    done = limen("batch", "write", *given)
    assert "round 1: 16 questions in 1 file, " in done.stdout
    assert "0 of 8 series done, 8 open" in done.stdout
    assert "nothing has been sent" in done.stdout
    assert "https://api.openai.com/v1/batches" in done.stderr
    back = Service().answer([tmp_path / "files/round-001/openai-toy-1.jsonl"], tmp_path / "answers")
    told = limen("batch", "read", tmp_path / "run", *back)
    assert "round 1: 16 lines read, 16 new answers, 0 failures, 0 without a line" in told.stdout
    assert "0 of 8 series done, 8 open; next: limen batch write, as before" in told.stdout


def test_a_run_in_rounds_is_bundled_and_reported_like_any_other(tmp_path: Path, photos: Path) -> None:
    in_rounds(photos, tmp_path, Service(lost=0.1), "--distortion", "noise", "--procedure", "constant")
    bundled = limen("bundle", tmp_path / "run", "--out", tmp_path / "b.zip", "--anonymous")
    assert bundled.returncode == 0, bundled.stderr
    assert limen("verify", tmp_path / "b.zip").returncode == 0
    offline = limen("measure", *words(photos, "--distortion", "noise", "--procedure", "constant"), "--offline", "--out",
                    tmp_path / "run")  # fmt: skip
    assert offline.returncode == 0, offline.stderr


@pytest.mark.parametrize(("kind", "version"), [("anthropic", "v1"), ("gemini", "v1beta")])
def test_services_with_requests_of_their_own_find_the_same(
    tmp_path: Path, photos: Path, kind: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{kind.upper()}_API_KEY", "a-key-of-nobody")
    study: tuple[object, ...] = ("--images", photos, "--limit", "2", "--distortion", "noise", "--no-exam")
    behaviour = {"anthropic": native.messages(), "gemini": native.contents()}[kind]
    with Endpoint(behaviour=behaviour) as server:
        who = ("--observer", f"{kind}:model-x", "--base-url", f"http://127.0.0.1:{server.port}/{version}")
        done = limen("measure", *study, *who, "-O", "label=x", "--out", tmp_path / "live")
        assert done.returncode == 0, done.stderr
        asked = len(server.requests)
    service = Service(kind, lost=0.1, doubled=0.1, failed=0.1)
    for number in itertools.count(1):
        given = ("--observer", f"{kind}:model-x", "-O", "label=x", "--out", tmp_path / "run", "--to", tmp_path / "f")
        made = orjson.loads(limen("batch", "write", *study, *given, "--json").stdout)
        if not made["files"]:
            break
        assert {file["format"] for file in made["files"]} == {kind}
        found = read(tmp_path, *service.answer(paths(made), tmp_path / f"answers-{number}"))
        assert found["failed"].keys() <= {"expired", "server-error"}
    assert made["done"] == 2
    assert service.came["failed"]
    assert service.came["ok"] == asked
    assert facts(tmp_path / "run") == comparable(facts(tmp_path / "live"), kind)


def comparable(found: tuple[Any, Any], kind: str) -> tuple[Any, Any]:
    """Return facts of a run at an endpoint as a batch has them: Gemini's path names the model, its file does not."""
    trials, outcomes = found
    if kind == "gemini":
        trials = [(*one[:-1], one[-1] and (*one[-1][:-1], "gemini-x")) for one in trials]
    return trials, outcomes


def test_what_was_answered_late_holds_no_round_up(tmp_path: Path, photos: Path) -> None:
    study = ("--distortion", "noise", "--procedure", "constant", "--limit", "1")
    first = write(photos, tmp_path, *study)
    whole, _ = Service().answer(paths(first), tmp_path / "answers")
    half = tmp_path / "half.jsonl"
    half.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[: first["lines"] // 2]))
    assert read(tmp_path, half)["missing"] == first["lines"] - first["lines"] // 2
    second = write(photos, tmp_path, *study)
    assert names_of(second) == {f"{name[:-1]}2" for name in names_of(first) if name[:-1] not in file_text([half])}
    late = read(tmp_path, whole)
    assert (late["answered"], late["unread"]) == (second["lines"], [])
    third = write(photos, tmp_path, *study)
    assert third["round"] == 2 + bool(third["files"])
    assert not {name[:-1] for name in names_of(third)} & {name[:-1] for name in names_of(first)}


def test_answers_without_a_verdict_are_said_and_give_no_threshold(tmp_path: Path, photos: Path) -> None:
    study = ("--distortion", "noise", "--limit", "2", "--no-identical-pairs")
    for number in itertools.count(1):
        made = write(photos, tmp_path, *study)
        if not made["files"]:
            break
        said = completion("Hm, hard to tell.")
        rows = [{"custom_id": name, "response": {"status_code": 200, "body": said}} for name in sorted(names_of(made))]
        (tmp_path / f"{number}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
        told = limen("batch", "read", tmp_path / "run", tmp_path / f"{number}.jsonl").stdout
        count = f"{len(rows)} new answers, {len(rows)} of them without a readable verdict, 0 failures"
        assert count in told
    assert "2 of 2 series done, 2 of them without a readable verdict, 0 open. See: limen report" in told


def test_what_runs_in_files_answer_otherwise_is_named_though_nothing_needed_it_yet(
    tmp_path: Path, photos: Path
) -> None:
    for number, threshold in (("1", 0.0), ("2", 255.0)):
        made = write(photos, tmp_path / number, "--distortion", "noise", "--limit", "1")
        read(tmp_path / number, *Service(threshold=threshold).answer(paths(made), tmp_path / f"answers-{number}"))
    done = limen("merge", tmp_path / "1" / "run", tmp_path / "2" / "run", "--out", tmp_path / "c")
    assert done.returncode == 1
    named = " ".join(done.stderr.split())
    assert re.search(r"openai:toy, direct, noise of a.png, level \d+: ", named), named
    assert "asked ahead" not in named
