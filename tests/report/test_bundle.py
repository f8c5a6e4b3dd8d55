"""Bundles: the same run gives the same bytes, nothing private is in them, and whatever is changed later is named."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import limen
from limen.errors import InputError
from limen.image import png
from limen.observer import Observer, Reply
from limen.question import Query
from limen.report import bundle as supplement
from limen.report.report import Report
from limen.report.verify import verify
from limen.store import TABLES, Store
from limen.store.publishing import Publisher
from limen.testing import photograph
from limen.trial import Answer, Attempt
from tests.feature import test_report as features
from tests.support.command import limen as command

Change = Callable[[bytes], bytes]
LADDER = {"blur": [1.0, 2.0, 4.0, 8.0, 16.0], "jpeg": [60.0, 30.0, 15.0, 8.0, 4.0]}

SHORT = {"blur": [1.0, 2.0, 4.0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photographs with a run of them, and its bundle."""
    root = tmp_path_factory.mktemp("bundle")
    (root / "photos").mkdir()
    for name in "abcd":
        (root / "photos" / f"{name}.png").write_bytes(png(photograph(name, 64, 80)))
    limen.measure(
        root / "photos", "simulated", ["blur", "jpeg"], ladders=LADDER, out=root / "run", questions=["direct", "choice"]
    ).bundle(root / "a.zip")
    return root


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, content: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def digested(content: dict[str, bytes], rows: bool = True) -> dict[str, bytes]:
    """Give changed members their digests: what somebody does who wants nothing to be seen."""
    if rows:
        lines = []
        for table in TABLES:
            for line in content[f"runs/1/{table}.jsonl"].splitlines():
                label = [json.loads(line)[0]] if table == "answer" else []
                lines.append(" ".join([table, *label, hashlib.sha256(line).hexdigest()[:16]]) + "\n")
        content["runs/1/digests.txt"] = "".join(lines).encode()
    index = json.loads(content["bundle.json"])
    for name in index["members"]:
        index["members"][name] = {"bytes": len(content[name]), "sha256": hashlib.sha256(content[name]).hexdigest()}
    for table in TABLES:
        index["runs"][0]["rows"][table] = content[f"runs/1/{table}.jsonl"].count(b"\n")
    return content | {"bundle.json": json.dumps(index).encode()}


def changed(folder: Path, to: Path, changes: Mapping[str, Change], forged: bool = False) -> Path:
    content = members(folder / "a.zip")
    for name, change in changes.items():
        before, content[name] = content[name], change(content[name])
        assert content[name] != before
    return written(to / "changed.zip", digested(content) if forged else content)


def told(path: Path, **given: Any) -> list[str]:
    return [str(difference) for difference in verify(path, **given).differences]


# --- what a bundle is ---


def test_a_bundle_is_sound_and_holds_the_numbers_of_the_report(folder: Path) -> None:
    found = verify(folder / "a.zip")
    assert found.sound
    assert not found.notes
    content = members(folder / "a.zip")
    with Report.open([folder / "run"]) as report:
        assert json.loads(content["results.json"]) == json.loads(json.dumps(_plain(report.data())))
        assert all(sentence in content["README.md"].decode() for sentence in report.sentences)
    with Store.open(folder / "run") as store:
        assert found.answers == len(list(store.rows("answer"))) > 50
    assert found.digest == hashlib.sha256(content["bundle.json"]).hexdigest()
    assert (found.verdicts, found.thresholds) == (found.answers, 16)


def _plain(value: Any) -> Any:
    import orjson

    return orjson.loads(orjson.dumps(value))


def test_the_same_run_gives_the_same_bytes_in_another_process(folder: Path, tmp_path: Path) -> None:
    code = f"import limen; limen.open({str(folder / 'run')!r}).bundle({str(tmp_path / 'b.zip')!r})"
    other = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code], check=True, env=other, cwd=tmp_path)
    assert (tmp_path / "b.zip").read_bytes() == (folder / "a.zip").read_bytes()
    assert list(tmp_path.iterdir()) == [tmp_path / "b.zip"]


def test_a_bundle_is_read_wherever_a_run_is(folder: Path, tmp_path: Path) -> None:
    opened, run = limen.open(folder / "a.zip"), limen.open(folder / "run")
    assert opened.jnds == run.jnds
    assert opened.trials() == run.trials()
    place = opened.paths[0]
    assert place.exists()
    opened.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "The reference was not kept in the run" not in page
    assert "The pictures are drawn again" not in page
    digest = hashlib.sha256(members(folder / "a.zip")["bundle.json"]).hexdigest()
    assert f"From the bundle a.zip, digest <code>{digest}</code>." in page
    assert "the size of coded pictures (jpeg) is not worked out: needs the photographs." in page
    run.report(tmp_path / "own.html")
    own = (tmp_path / "own.html").read_text()
    assert "From the bundle" not in own
    assert "The pictures are drawn again" in own
    del opened
    assert not place.exists()  # what was unpacked goes with the object
    for name in ("safe", "fit"):
        said = [command(name, folder / one).stdout.replace("a.zip", "run") for one in ("run", "a.zip")]
        assert said[0].split("saves")[0] == said[1].split("saves")[0]


def test_a_bundle_of_a_bundle_has_the_same_rows(folder: Path, tmp_path: Path) -> None:
    supplement.write([folder / "a.zip"], tmp_path / "b.zip")
    one, other = members(folder / "a.zip"), members(tmp_path / "b.zip")
    assert {name for name in one if one[name] != other[name]} == {"bundle.json", "results.json"}  # without pictures


# --- what others must not see ---


class Talker(Observer):
    """An observer whose errors say where it works."""

    def __init__(self) -> None:
        self.name, self.concurrency, self._asked = "talker", 1, 0

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "talker", "host": "gpu01.lab.example:8000", "path": "/alice/v1", "file": "/home/alice/model.pt"}

    async def answer(self, query: Query) -> Reply:
        self._asked += 1
        failed = Attempt(
            "failed",
            "Cannot connect to host gpu01.lab.example:8000 [http://10.0.0.7/x]: /home/alice/keys.txt, 192.168.1.2:80, "
            "https://bob.example:99/v1?q",
        )
        return Reply(Answer("<yes> They differ.", finish="stop"), (failed, Attempt("ok", "fp_1")))


@pytest.mark.parametrize("anonymous", [False, True])
def test_no_path_host_or_photograph_is_in_a_bundle(folder: Path, tmp_path: Path, anonymous: bool) -> None:
    run = limen.measure(folder / "photos", Talker(), "blur", ladders=SHORT, out=tmp_path / "bob")
    content = members(run.bundle(tmp_path / "a.zip", anonymous))
    everything = b"\n".join(content.values()).decode()
    for word in (
        "gpu01",
        "alice",
        "10.0.0.7",
        "192.168",
        "bob.example",
        str(tmp_path),
        str(folder),
        "/home",
    ):
        assert word not in everything, word
    assert ("fp_1" in everything) == (not anonymous)
    assert ("system " in everything, "Cannot connect" in everything) == (anonymous, not anonymous)
    assert ("T00:00:00" in everything) == anonymous
    days = {json.loads(line)[-1] % 86_400 for line in content["runs/1/answer.jsonl"].splitlines()}
    assert (days == {0.0}) == anonymous
    assert ("a.png" in everything, '"bob"' in everything) == (not anonymous, not anonymous)
    assert b"\x89PNG" not in b"".join(content.values())
    found = verify(tmp_path / "a.zip", images=[folder / "photos"])
    assert found.sound  # keys are made with the true fingerprint, of which the bundle has the digest
    assert found.stimuli > 10
    names = [json.loads(line)[3] for line in content["runs/1/series.jsonl"].splitlines()]
    digests = [json.loads(line)[4][:8] for line in content["runs/1/series.jsonl"].splitlines()]
    assert (
        [name.split()[-1] for name in names] == digests if anonymous else sorted(names) == [f"{n}.png" for n in "abcd"]
    )


SAID = {  # what a server says, and what of it others may see
    "gpu01.cluster.local:8000 refused": "[host] refused",
    "is localhost:47391 there?": "is [host] there?",
    "alice@gpu-node17 says no": "[host] says no",
    "at [fe80::1ff:fe23:4567:890a]:8000": "at [host]",
    "host=DESKTOP-ALICE99 gone": "host=[host] gone",
    "no file models/alice-private/x.safetensors": "no file [path]",
    "C:\\Users\\bob\\x.txt": "[path]",
    "torch.cuda.OutOfMemoryError: CUDA out of memory": None,
    "429: try Qwen/Qwen2.5-VL-7B again at 12:30:45, e.g. with limen 1.2.3": None,
    "a.png is broken (fp_44709d6fcb)": None,
    "error:429 from gpu04:80": "error:429 from [host]",
}


def test_hosts_and_paths_in_messages_are_masked_by_their_form(folder: Path) -> None:
    with Store.open(folder / "run") as store:
        publisher = Publisher(store)
    assert {text: publisher.text(text) for text in SAID} == {text: then or text for text, then in SAID.items()}


@pytest.mark.parametrize("anonymous", [False, True])
def test_the_host_of_an_exam_that_failed_and_a_path_for_a_name_are_not_published(
    tmp_path: Path, anonymous: bool
) -> None:
    done = command(
        "measure", "--images", "demo", "--distortion", "blur", "--observer", "openai:/home/alice/models/qwen",
        "--base-url", "http://localhost:47391/v1", "--limit", "1", "--out", tmp_path / "r",
    )  # fmt: skip
    assert done.returncode == 1
    with Store.create(tmp_path / "r", {}) as store:  # a question of the exam that failed for good
        at = store.manifest["exams"]["openai:/home/alice/models/qwen"]["at"]
        attempt = {"outcome": "unreachable", "detail": "Nothing answers at localhost:47391.", "seconds": 0.0}
        row = {"observer": "openai:/home/alice/models/qwen", "at": at, "name": "one", "shown": [], "draw": 0}
        row |= {"answer": {"text": "<no>", "model": "/home/alice/models/qwen"}, "attempts": [attempt]}
        store.add_measurements("exam", {f"openai:/home/alice/models/qwen {at} one": row})
    made = supplement.write([tmp_path / "r"], tmp_path / "a.zip", anonymous)
    assert made.suspects == ()
    content = members(tmp_path / "a.zip")
    everything = b"\n".join(content.values())
    for word in (b"47391", b"localhost", b"alice", b"/home"):
        assert word not in everything, word
    assert b"openai:qwen" in content["runs/1/measurement.jsonl"]
    assert list(json.loads(content["runs/1/manifest.json"])["exams"]) == ["openai:qwen"]
    assert verify(tmp_path / "a.zip", against=[tmp_path / "r"]).sound


class Placed(Talker):
    """An observer that is called as its model's folder, whose answers say a host."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def fingerprint(self) -> dict[str, Any]:
        return super().fingerprint() | {"model": self.name.partition(":")[2]}

    async def answer(self, query: Query) -> Reply:
        reply = await super().answer(query)
        said = Answer("<yes> See /home/carol/notes.txt.", finish="stop", model=self.name.partition(":")[2])
        return Reply(said, reply.attempts)


def test_models_named_by_paths_keep_their_last_part_and_what_is_left_is_told(folder: Path, tmp_path: Path) -> None:
    observers = [Placed("own:/home/alice/a/qwen"), Placed("own:/home/alice/b/qwen"), Placed("own:Qwen/Qwen2-VL")]
    limen.measure(folder / "photos", observers, "blur", ladders=SHORT, limit=2, out=tmp_path / "r")
    made = supplement.write([tmp_path / "r"], tmp_path / "a.zip")
    content = members(tmp_path / "a.zip")
    assert b"alice" not in b"".join(content.values())
    manifest = json.loads(content["runs/1/manifest.json"])
    assert list(manifest["observers"]) == ["own:qwen", "own:qwen #2", "own:Qwen/Qwen2-VL"]
    assert {json.loads(line)[0] for line in content["runs/1/query.jsonl"].splitlines()} == set(manifest["observers"])
    models = {json.loads(line)[8] for line in content["runs/1/answer.jsonl"].splitlines()}
    assert models == {"qwen", "qwen #2", "Qwen/Qwen2-VL"}
    assert made.suspects == ("/home/carol/notes.txt (runs/1/answer.jsonl)",)
    found = verify(tmp_path / "a.zip", against=[tmp_path / "r"], images=[folder / "photos"])
    assert found.sound, found.differences[:3]
    assert found.stimuli > 10


def test_numbers_are_the_same_without_names(folder: Path, tmp_path: Path) -> None:
    supplement.write([folder / "run"], tmp_path / "b.zip", anonymous=True)
    results = [json.loads(members(path)["results.json"]) for path in (folder / "a.zip", tmp_path / "b.zip")]
    for name in ("jnds", "answers"):
        assert results[0]["runs"][0][name] == results[1]["runs"][0][name]
    assert results[0]["together"]["fits"] == results[1]["together"]["fits"]
    assert verify(tmp_path / "b.zip", against=[folder / "run"]).sound


# --- what was changed ---


def first_answer(content: bytes) -> list[Any]:
    return list(json.loads(content.splitlines()[0]))


def test_an_edited_answer_is_named_with_what_follows_from_it(folder: Path, tmp_path: Path) -> None:
    content = members(folder / "a.zip")
    with Store.open(folder / "run") as store:
        asked = {
            t.key: t
            for t in store.trials()
            if t.level and t.reference == 0 and t.answer and t.answer.text[:4] == "<no>"
        }
        series = {row.id: row for row in store.series()}
    rows = [json.loads(line) for line in content["runs/1/answer.jsonl"].splitlines()]
    at, row = next((i, row) for i, row in enumerate(rows) if row[0] in asked)
    trial = asked[row[0]]
    rows[at][1] = "<yes> They differ."
    edit = b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)
    lines = told(changed(folder, tmp_path, {"runs/1/answer.jsonl": lambda _: edit}))
    of = series[trial.series]
    where = f"{of.distortion}, {of.name}, reference level 0, level {trial.level}, draw 0"
    assert lines[0].startswith(
        f"answer {row[0]} (simulated, {trial.question}, {where}) (line {at + 1} of answer.jsonl): stored"
    )
    assert any(
        line.startswith("verdict on") and where in line and line.endswith("stored no, recomputed yes") for line in lines
    )
    assert any(line.startswith("number ") for line in lines)
    said = command("verify", tmp_path / "changed.zip").stdout.splitlines()
    assert re.match(r"changed\.zip does not hold: 1 answer edited; .*\b\d+ numbers that follow differ\.", said[0])
    assert said[1] == lines[0]
    assert not any(line.startswith("number ") for line in said)
    assert re.fullmatch(r"\.\.\. and .*\d+ numbers? \(--json has all\)\.", said[-1])
    assert len(said) < 25
    # with digests that fit, what was worked out from it still says so; and the digest of the whole is another one
    forged = verify(changed(folder, tmp_path, {"runs/1/answer.jsonl": lambda _: edit}, forged=True))
    assert any(str(one).startswith("verdict on") for one in forged.differences)
    assert forged.digest != verify(folder / "a.zip").digest
    against = told(tmp_path / "changed.zip", against=[folder / "run"])
    assert any(line.startswith(f"answer {row[0]}") and "not in run" in line for line in against)


@settings(max_examples=15)
@given(place=st.integers(0, 10**9), value=st.integers(1, 255))
def test_any_edited_byte_of_an_answer_is_named(folder: Path, place: int, value: int) -> None:
    content = members(folder / "a.zip")
    data = bytearray(content["runs/1/answer.jsonl"])
    at = place % len(data)
    number = data[:at].count(b"\n")
    key = json.loads(content["runs/1/answer.jsonl"].splitlines()[number])[0]
    data[at] ^= value
    content["runs/1/answer.jsonl"] = bytes(data)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, one in content.items():
            archive.writestr(name, one)
    path = folder / "byte.zip"
    path.write_bytes(out.getvalue())
    lines = [str(one) for one in verify(path).differences if one.what == "answer"]
    assert lines
    assert any(key in line for line in lines), lines


def without(place: int) -> Change:
    return lambda content: b"".join(line for i, line in enumerate(content.splitlines(True)) if i != place)


@pytest.mark.parametrize("table", ["answer", "query", "attempt", "series"])
@pytest.mark.parametrize("what", ["missing", "added"])
def test_a_missing_or_added_row_is_named(folder: Path, tmp_path: Path, table: str, what: str) -> None:
    member = f"runs/1/{table}.jsonl"
    content = members(folder / "a.zip")[member]
    rows = content.splitlines(True)
    row = json.loads(rows[1])
    if what == "missing":
        lines = told(changed(folder, tmp_path, {member: without(1)}))
    else:
        new = list(row)
        new[0] = 10**6 if table == "attempt" else f"f{row[0][1:]}"
        lines = told(changed(folder, tmp_path, {member: lambda data: data + json.dumps(new).encode() + b"\n"}))
    found = [line for line in lines if line.startswith(("answer", "row"))]
    assert len(found) == 1
    assert what in found[0] if what == "missing" else "not there" in found[0]
    if table == "answer":
        assert (row[0] if what == "missing" else new[0]) in found[0]


def test_a_row_that_stands_twice_is_named(folder: Path, tmp_path: Path) -> None:
    twice = changed(
        folder, tmp_path, {"runs/1/answer.jsonl": lambda data: data + data.splitlines(True)[0]}, forged=True
    )
    assert any("found twice" in line for line in told(twice))


def test_an_edited_digest_is_named(folder: Path, tmp_path: Path) -> None:
    key = first_answer(members(folder / "a.zip")["runs/1/answer.jsonl"])[0]

    def other(content: bytes) -> bytes:
        at = content.index(key.encode()) + len(key) + 1
        return content[:at] + b"0123456789abcdef" + content[at + 16 :]

    lines = told(changed(folder, tmp_path, {"runs/1/digests.txt": other}))
    assert len(lines) == 1
    assert lines[0].startswith(f"digest of answer {key}")
    assert "0123456789abcdef" in lines[0]

    def of_reference(content: bytes) -> bytes:
        row = json.loads(content.splitlines()[0])
        return content.replace(row[4].encode(), b"0" * 32, 1)

    lines = told(changed(folder, tmp_path, {"runs/1/series.jsonl": of_reference}, forged=True))
    assert any(line.startswith("digest of the reference of ") for line in lines)

    def of_index(content: bytes) -> bytes:
        index = json.loads(content)
        index["members"]["runs/1/answer.jsonl"]["sha256"] = "0" * 64
        return json.dumps(index).encode()

    assert told(changed(folder, tmp_path, {"bundle.json": of_index})) == [
        "digest of the table answer: found another than in bundle.json, with every row as in digests.txt"
    ]


def row_of_blur(results: dict[str, Any]) -> dict[str, Any]:
    rows = results["runs"][0]["jnds"]
    return next(row for row in rows if (row["question"], row["distortion"], row["order"]) == ("direct", "blur", 1))


def test_an_edited_number_is_named_with_both_values(folder: Path, tmp_path: Path) -> None:
    def other(content: bytes) -> bytes:
        results = json.loads(content)
        row_of_blur(results)["mean"] += 1
        return json.dumps(results).encode()

    for forged in (False, True):
        lines = told(changed(folder, tmp_path, {"results.json": other}, forged))
        assert ("file results.json" in lines[0]) != forged
        mean = row_of_blur(json.loads(members(folder / "a.zip")["results.json"]))["mean"]
        place = "number runs[run]: jnds[simulated, direct, blur, order 1]: mean: "
        assert f"{place}stored {mean + 1}, recomputed {mean}" in lines, lines


def test_edited_verdicts_thresholds_words_and_sentences_are_named(folder: Path, tmp_path: Path) -> None:
    def verdict(content: bytes) -> bytes:
        return re.sub(rb'\[0,([1-9]),0,"no",""\]', rb'[0,\1,0,"yes",""]', content, count=1)

    def threshold(content: bytes) -> bytes:
        return content.replace(b'"order":1,"level":', b'"order":1,"level":9', 1)

    def words(content: bytes) -> bytes:
        return content.replace(b"Is the second image", b"Was the second image", 1).replace(
            b'"text": "', b'"text": "x', 1
        )

    lines = told(changed(folder, tmp_path, {"runs/1/verdicts.jsonl": verdict}, forged=True))
    assert [line[:10] for line in lines] == ["verdict on"]
    assert "stored yes, recomputed no" in lines[0]
    lines = told(changed(folder, tmp_path, {"runs/1/verdicts.jsonl": threshold}, forged=True))
    assert [line[:12] for line in lines] == ["threshold of"]
    lines = told(changed(folder, tmp_path, {"runs/1/manifest.json": words}, forged=True))
    assert "it was changed" in lines[0]
    lines = told(
        changed(folder, tmp_path, {"README.md": lambda text: text.replace(b"(n = 4)", b"(n = 9)")}, forged=True)
    )
    assert lines
    assert all(line.startswith("sentence in README.md") for line in lines)


def test_lines_that_are_no_rows_are_named_and_the_rest_is_read(folder: Path, tmp_path: Path) -> None:
    for bad in (b"[[]]", b"nothing", b'["' + b"f" * 32 + b'",{},null,null,"",null,null,0.0,"",1.0]', b"[1,2"):
        lines = told(changed(folder, tmp_path, {"runs/1/answer.jsonl": lambda data, bad=bad: data + bad + b"\n"}))  # type: ignore[misc]
        assert any(line.startswith("answer") for line in lines)
    wrong = changed(
        folder, tmp_path, {"runs/1/query.jsonl": lambda data: data.replace(b",0,1,0,", b',0,"one",0,', 1)}, True
    )
    assert any(line.startswith("report cannot be worked out") or "cannot be worked out" in line for line in told(wrong))


# --- what is no bundle ---


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        verify(path)
    line = str(caught.value)
    assert "\n" not in line
    done = command("verify", path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"limen: {line}\n")
    found = json.loads(command("verify", path, "--json").stdout)
    assert found == {"sound": False, "bundle": path.name, "error": line}
    return line


def test_what_is_no_bundle_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "a.zip").read_bytes()
    for share in (0.3, 0.9, 0.999):
        (tmp_path / "half.zip").write_bytes(whole[: int(share * len(whole))])
        assert "is cut short or damaged" in refused(tmp_path / "half.zip")
    (tmp_path / "text.zip").write_text("hello")
    assert "no ZIP archive" in refused(tmp_path / "text.zip")
    (tmp_path / "empty.zip").write_bytes(b"")
    assert "0 bytes" in refused(tmp_path / "empty.zip")
    assert "No such file" in refused(tmp_path / "none.zip")
    assert "cannot be read" in refused(tmp_path)
    assert "is a run, not a bundle. limen bundle makes one of it" in refused(folder / "run")
    written(tmp_path / "other.zip", {"word/document.xml": b"<x/>"})
    assert "it has no bundle.json" in refused(tmp_path / "other.zip")
    damaged = bytearray(whole)
    at = whole.index(b"runs/1/answer.jsonl") + 400
    damaged[at] ^= 255
    (tmp_path / "damaged.zip").write_bytes(damaged)
    assert "'runs/1/answer.jsonl' is damaged" in refused(tmp_path / "damaged.zip")


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "runs/1/../../x", "runs\\1\\x", "C:x", "runs/1/extra.txt", "a/"]
)
def test_members_of_other_names_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    written(tmp_path / "a.zip", members(folder / "a.zip") | {name: b"x"})
    assert "has no place in a bundle" in refused(tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.zip"]


def test_a_zip_bomb_a_newer_format_and_lacking_members_are_refused(folder: Path, tmp_path: Path) -> None:
    content = members(folder / "a.zip")
    written(tmp_path / "bomb.zip", content | {"results.json": b"0" * 50_000_000})
    assert "a ZIP bomb" in refused(tmp_path / "bomb.zip")
    index = json.loads(content["bundle.json"])
    written(
        tmp_path / "new.zip", content | {"bundle.json": json.dumps(index | {"version": 2, "limen": "9.1"}).encode()}
    )
    assert "has format 2; this limen reads 1. Install a newer limen: it was made with 9.1." in refused(
        tmp_path / "new.zip"
    )
    written(tmp_path / "less.zip", {name: data for name, data in content.items() if name != "runs/1/wave.jsonl"})
    assert "lacks its member 'runs/1/wave.jsonl'" in refused(tmp_path / "less.zip")
    bad = json.loads(content["bundle.json"])
    bad["runs"][0]["name"] = "../x"
    written(tmp_path / "name.zip", content | {"bundle.json": json.dumps(bad).encode()})
    assert "names runs that cannot be" in refused(tmp_path / "name.zip")
    written(tmp_path / "list.zip", content | {"bundle.json": b"[]"})
    assert "is not a bundle of limen" in refused(tmp_path / "list.zip")
    del index["runs"]
    written(tmp_path / "struct.zip", content | {"bundle.json": json.dumps(index).encode()})
    assert "is not as limen writes it" in refused(tmp_path / "struct.zip")


def test_a_changed_bundle_is_not_reported_on(folder: Path, tmp_path: Path) -> None:
    path = changed(folder, tmp_path, {"runs/1/answer.jsonl": without(0)})
    with pytest.raises(InputError, match="is not as it was made. limen verify changed.zip says what differs"):
        limen.open(path)


# --- with photographs, and beside the run ---


def test_stimuli_are_drawn_again_and_those_that_differ_named(folder: Path, tmp_path: Path) -> None:
    found = verify(folder / "a.zip", images=[folder / "photos"])
    assert found.sound
    assert not found.unchecked
    with Store.open(folder / "run") as store:
        assert found.stimuli == len(list(store.rows("query")))
        series, trials = {row.id: row for row in store.series()}, list(store.trials())
    assert found.numbers > verify(folder / "a.zip").numbers  # the bytes of coded pictures, too
    (tmp_path / "photos").mkdir()
    for name in "ab":
        (tmp_path / "photos" / f"{name}.png").write_bytes((folder / "photos" / f"{name}.png").read_bytes())
    part = verify(folder / "a.zip", images=[tmp_path / "photos"])
    assert part.sound
    assert any("2 references not among the photographs (c.png, d.png)" in line for line in part.unchecked)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.png").write_bytes(png(photograph("x", 64, 80)))
    done = command("verify", folder / "a.zip", "--images", tmp_path / "other")
    assert done.returncode == 1
    assert done.stderr.startswith("limen: None of the 4 references is among the photographs of ")
    # a key that stands for other pixels: somebody else's stimulus
    trial = next(one for one in trials if one.level == 1 and one.key)
    other = trial.key[:-4] + ("0000" if trial.key[-4:] != "0000" else "1111")

    def moved(content: bytes) -> bytes:
        return content.replace(trial.key.encode(), other.encode())

    def resorted(content: bytes) -> bytes:
        return b"".join(sorted(moved(content).splitlines(True)))

    forged = changed(folder, tmp_path, {"runs/1/query.jsonl": moved, "runs/1/answer.jsonl": resorted}, forged=True)
    lines = told(forged, images=[folder / "photos"])
    row = series[trial.series]
    assert len(lines) >= 1
    assert all(
        line.startswith(f"stimulus of answer {other} (simulated, {trial.question}, {row.distortion}, ")
        for line in lines
    )
    assert f"recomputed {trial.key}" in lines[0]


def test_other_pixels_of_a_codec_are_told_with_versions(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(content: bytes) -> bytes:
        manifest = json.loads(content)
        manifest["probes"]["jpeg"], manifest["versions"]["libjpeg_turbo"] = "0" * 32, "1.5"
        return json.dumps(manifest).encode()

    found = verify(changed(folder, tmp_path, {"runs/1/manifest.json": other}, True), images=[folder / "photos"])
    assert any(
        "draw jpeg with other pixels than the run's did (libjpeg_turbo 1.5 then, " in line for line in found.notes
    )


def test_a_run_that_went_on_differs_from_its_bundle(folder: Path, tmp_path: Path) -> None:
    run = limen.measure(folder / "photos", "simulated", "blur", ladders=SHORT, limit=2, out=tmp_path / "r")
    run.bundle(tmp_path / "a.zip")
    assert verify(tmp_path / "a.zip", against=[tmp_path / "r"]).sound
    limen.measure(folder / "photos", "simulated", "blur", ladders=SHORT, limit=3, out=tmp_path / "r")
    lines = told(tmp_path / "a.zip", against=[tmp_path / "r"])
    assert any(line.startswith("answer ") and "stored not there, found digest" in line for line in lines)
    assert any(line.startswith("manifest aim.series: stored 2, found 3") for line in lines), lines[:4]
    limen.measure(folder / "photos", "simulated", "blur", ladders=SHORT, limit=2, seed=7, out=tmp_path / "other")
    lines = told(tmp_path / "a.zip", against=[tmp_path / "other"])
    assert lines[0].endswith("other is not the run that this bundle was made from; rows were not compared")
    assert "manifest seed: stored 0, found 7" in lines
    assert all(line.startswith("manifest ") for line in lines[1:])
    with pytest.raises(InputError, match="holds 1 runs"):
        verify(tmp_path / "a.zip", against=[tmp_path / "r", tmp_path / "r"])


# --- the command line ---


def test_commands_write_and_verify(folder: Path, tmp_path: Path) -> None:
    done = command("bundle", folder / "run", "--out", tmp_path / "b.zip", "--json")
    made = json.loads(done.stdout)
    assert (tmp_path / "b.zip").read_bytes() == (folder / "a.zip").read_bytes()
    assert made["digest"] == verify(tmp_path / "b.zip").digest
    assert made["bytes"] == (tmp_path / "b.zip").stat().st_size
    done = command("bundle", folder / "run", "--out", tmp_path / "b.zip")
    assert f"b.zip was there and is replaced; its digest was {made['digest']}." in done.stderr
    done = command("verify", tmp_path / "b.zip", "--digest", made["digest"])
    assert "Not checked: sizes of coded pictures (" in done.stdout
    assert done.returncode == 0
    assert "as quoted" in done.stdout
    done = command("verify", tmp_path / "b.zip", "--digest", "0" * 64)
    assert done.returncode == 1
    assert "not the file that" in done.stdout
    assert "hexadecimal" in command("verify", tmp_path / "b.zip", "--digest", "xyz").stderr
    path = changed(folder, tmp_path, {"runs/1/answer.jsonl": without(0)})
    done = command("verify", path)
    assert done.returncode == 1
    assert "missing" in done.stdout
    found = json.loads(command("verify", path, "--json").stdout)
    assert not found["sound"]
    assert found["differences"][0]["what"] == "answer"
    assert command("bundle", folder / "run", "--out", tmp_path / "no" / "b.zip").returncode in (0, 1)
    assert "is not a run directory" in command("bundle", tmp_path, "--out", tmp_path / "c.zip").stderr
    assert not (tmp_path / "c.zip").exists()
    assert not list(tmp_path.glob(".*.part"))


# --- every kind of run ---


PROCEDURES = ["skip", "scan", "bisect", "staircase", "psi", "certify", {"name": "constant", "levels": [1, 2, 4]}]


@pytest.mark.parametrize("procedure", PROCEDURES, ids=str)
def test_runs_of_every_procedure_are_verified(folder: Path, tmp_path: Path, procedure: Any) -> None:
    run = limen.measure(folder / "photos", "simulated", "blur", procedure=procedure, limit=2, jnds=None)
    found = verify(run.bundle(tmp_path / "a.zip"), images=[folder / "photos"])
    assert found.sound, found.differences[:3]
    assert found.verdicts > 0
    assert found.stimuli > 0
    assert not found.unchecked


@pytest.mark.parametrize("question", ["answer-changes", "answer-wrong"])
def test_items_are_verified_down_to_their_keys(tmp_path: Path, question: str) -> None:
    run = limen.measure(
        "demo-items", "solver", ["jpeg", "text-characters"], questions=question, limit=4, out=tmp_path / "r"
    )
    found = verify(run.bundle(tmp_path / "a.zip"), against=[tmp_path / "r"], images=["demo-items"])
    assert found.sound, found.differences[:3]
    assert not found.unchecked
    assert found.stimuli > 20


def test_forced_choices_sizes_and_sampled_draws_are_verified(folder: Path, tmp_path: Path) -> None:
    about = {
        "questions": ["odd-one-out-3", "direct"],
        "max_side": (48, 0),
        "limit": 2,
        "procedure": {"name": "constant", "levels": [1, 3], "draws": 2},
    }
    run = limen.measure(folder / "photos", "simulated", "blur", ladders=SHORT, **about)
    found = verify(run.bundle(tmp_path / "a.zip"), images=[folder / "photos"])
    assert found.sound, found.differences[:3]
    assert not found.unchecked


def test_several_runs_make_one_bundle(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        limen.measure(folder / "photos", "simulated", "blur", ladders=SHORT, limit=2, out=tmp_path / name / "run")
    runs = [tmp_path / "one" / "run", tmp_path / "two" / "run"]
    made = supplement.write(runs, tmp_path / "a.zip")
    assert made.runs == ("run", "run #2")
    found = verify(tmp_path / "a.zip", against=runs)
    assert found.sound, found.differences[:3]
    assert len(limen.open(tmp_path / "a.zip").paths) == 2


@pytest.mark.slow
def test_floors_and_exams_are_in_a_bundle_and_judged_anew(folder: Path, tmp_path: Path) -> None:
    done = command(
        "measure",
        "--images",
        "demo",
        "--limit",
        2,
        "--distortion",
        "jpeg",
        "--observer",
        "demo",
        "--out",
        tmp_path / "r",
    )
    assert done.returncode == 0
    limen.open(tmp_path / "r").bundle(tmp_path / "a.zip")
    content = members(tmp_path / "a.zip")
    stages = {json.loads(line)[0] for line in content["runs/1/measurement.jsonl"].splitlines()}
    assert stages >= {"exam", "floor"}
    found = verify(tmp_path / "a.zip", images=["demo"])
    assert found.sound, found.differences[:3]
    assert b'"exam":"demo","passed":true' in content["runs/1/verdicts.jsonl"]
    content["runs/1/verdicts.jsonl"] = content["runs/1/verdicts.jsonl"].replace(b'"passed":true', b'"passed":false')
    lines = told(written(tmp_path / "b.zip", digested(content)))
    assert lines == ["exam of demo, passed: stored false, recomputed true"]


def test_runs_of_deep_features_are_bundled_row_by_row(folder: Path, tmp_path: Path) -> None:
    manifest = features.MANIFEST | {"plan": features.MANIFEST["plan"] | {"model": "/home/alice/net.pt"}}
    with Store.create(tmp_path / "deep", manifest) as store:
        for stage, rows in (("evaluate", features.ROWS), ("calibrate", features.CALIBRATED)):
            store.add_measurements(stage, {str(i): row for i, row in enumerate(rows)})
    supplement.write([folder / "run", tmp_path / "deep"], tmp_path / "a.zip")
    content = members(tmp_path / "a.zip")
    assert b"alice" not in b"".join(content.values())
    assert b'"wings"' in content["results.json"]
    assert verify(tmp_path / "a.zip", against=[folder / "run", tmp_path / "deep"]).sound
    table = content["runs/2/measurement.jsonl"]
    content["runs/2/measurement.jsonl"] = table.replace(b'\\"discrepancy\\":0.125', b'\\"discrepancy\\":0.625')
    assert content["runs/2/measurement.jsonl"] != table
    lines = told(written(tmp_path / "b.zip", content))
    assert lines[0].startswith("row of measurement (evaluate, 7)")
    assert any(line.startswith("number wings.feature") for line in lines)
