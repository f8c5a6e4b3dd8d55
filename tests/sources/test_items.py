"""Items from files: every format, every kind of broken row with its place; and the items that limen draws itself."""

import base64
import csv
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limen import digest as digests
from limen import distortion
from limen.errors import InputError, MissingExtraError
from limen.image import Image, digest, png
from limen.item import Item
from limen.parsing.forms import Letters, Number, ShortText, YesNo
from limen.source import Reference, ReferenceKind, Refusal, collect, read, scaled_down
from limen.sources import _rows
from limen.stimulus import Series
from limen.testing import photograph


def picture(seed: str) -> Image:
    return photograph(seed, 48, 64)


def coded(seed: str) -> str:
    return base64.b64encode(png(picture(seed))).decode()


def write(folder: Path, *seeds: str) -> None:
    for seed in seeds:
        (folder / f"{seed}.png").write_bytes(png(picture(seed)))


def write_table(file: Path, rows: list[dict[str, str]], delimiter: str = "\t") -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with open(file, "w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, columns, delimiter=delimiter, restval="")
        table.writeheader()
        table.writerows(rows)
    return file


def write_lines(file: Path, rows: list[Any]) -> Path:
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return file


def test_items_about_one_picture_say_so(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    rows = [{"image": f"{name}.png", "question": question} for name in "ab" for question in ("Is it a?", "Is it b?")]
    found = items(write_lines(tmp_path / "rows.jsonl", rows))
    assert [one.picture for one in found] == [digest(picture(name)) for name in "aabb"]
    scaled = [scaled_down(one, 60) for one in found]
    assert all(isinstance(one, Reference) and one.picture == digest(one.load()) for one in scaled)


def items(place: Path | str) -> list[Reference]:
    found = [one for one in read(f"items={place}" if isinstance(place, Path) else place) if isinstance(one, Reference)]
    for one in found:  # what is planned is what is loaded
        assert one.kind == ReferenceKind.ITEM
        assert one.item is not None
        assert one.digest == digests.of([digest(one.load()), one.item.text])
    return found


def refusals(place: Path) -> list[str]:
    return [one.line for one in read(f"items={place}") if isinstance(one, Refusal)]


def asked(place: Path) -> list[Item]:
    return [one.item for one in items(place) if one.item is not None]


# --- formats ---


def test_jsonl_in_every_form(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    rows = [
        {
            "index": 7,
            "image": "a.png",
            "question": "Which?",
            "options": ["red", "blue"],
            "answer": "B",
            "category": "x",
        },
        {
            "image": f"data:image/png;base64,{coded('b')}",
            "question": "Which?",
            "A": "red",
            "B": "blue",
            "answer": "Red",
        },
        {"image": coded("c"), "question": "Is it?", "answer": "Yes"},
        {"image": "a.png", "question": "How many?", "answer": 12, "tolerance": 1},
        {"image": "a.png", "question": "What is it?", "answer": "A Cat", "accepted": ["kitten"]},
        {"image": "a.png", "question": "What?", "options": {"B": "two", "A": "one"}, "l2-category": "y"},
        {"image": "b.png", "question": "Is it?", "answer": True},
        {"image": "a.png", "question": "How long?", "answer": "3.50"},
        {"image": "a.png", "question": "Digits?", "answer": "350", "form": "text"},
        {"image": "b.png", "question": "Say.", "choices": ["one", "two", "three"], "answer": "three"},
    ]
    file = write_lines(tmp_path / "q.jsonl", rows)
    found = items(file)
    assert not refusals(file)
    assert [one.name for one in found] == ["q.jsonl/7", *(f"q.jsonl line {number}" for number in range(2, 11))]
    assert asked(file) == [
        Item("Which?", Letters(("red", "blue")), "B", "x"),
        Item("Which?", Letters(("red", "blue")), "A"),
        Item("Is it?", YesNo(), "yes"),
        Item("How many?", Number(tolerance=1), "12"),
        Item("What is it?", ShortText(accepted=(("A Cat", "kitten"),)), "cat"),
        Item("What?", Letters(("one", "two")), "", "y"),
        Item("Is it?", YesNo(), "yes"),
        Item("How long?", Number(), "3.5"),
        Item("Digits?", ShortText(), "350"),
        Item("Say.", Letters(("one", "two", "three")), "C"),
    ]
    assert [digest(one.load()) for one in found[:3]] == [digest(picture(seed)) for seed in "abc"]
    assert found[0].size == (64, 48)


@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_tables_in_the_columns_of_vlmevalkit(suffix: str, tmp_path: Path) -> None:
    write(tmp_path, "c")
    options = {"A": "red, or so", "B": "blue\nand green", "C": "", "D": ""}
    rows = [
        {"index": "1", "image": "3", "question": "Later?", "answer": "yes"},
        {
            "index": "3",
            "image": coded("a"),
            "hint": "Look.",
            "question": "Which?",
            **options,
            "answer": "A",
            "category": "c",
        },
        {"index": "4", "image": "3", "question": "Again?", "answer": "no", "l2-category": "d"},
        {"index": "5", "image": "c.png", "question": "How many?", "answer": "3"},
        {"index": "6", "image": f"['{coded('b')}']", "question": "What?", "answer": "['dog', 'hound']"},
    ]
    found = items(write_table(tmp_path / f"t.{suffix}", rows, {"tsv": "\t", "csv": ","}[suffix]))
    assert [one.name for one in found] == [f"t.{suffix}/{index}" for index in "13456"]
    assert [digest(one.load()) for one in found] == [digest(picture(seed)) for seed in "aaacb"]
    assert [one.item for one in found] == [
        Item("Later?", YesNo(), "yes"),
        Item("Look.\nWhich?", Letters(("red, or so", "blue\nand green")), "A", "c"),
        Item("Again?", YesNo(), "no", "d"),
        Item("How many?", Number(), "3"),
        Item("What?", ShortText(accepted=(("dog", "hound"),)), "dog"),
    ]


def test_a_table_of_paths(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    write(tmp_path / "images", "a")
    file = write_table(tmp_path / "t.csv", [{"question": "Is it?", "image_path": "images/a.png", "answer": "no"}], ",")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())  # as spreadsheets save it
    (found,) = items(file)
    assert (found.name, digest(found.load())) == ("t.csv line 2", digest(picture("a")))


def test_a_json_list(tmp_path: Path) -> None:
    rows = [{"image": coded(seed), "question": "Größer?", "answer": "no"} for seed in "ab"]
    for number, mark in enumerate((b"", b"\xef\xbb\xbf")):
        file = tmp_path / f"q{number}.json"
        file.write_bytes(mark + json.dumps(rows, indent=1, ensure_ascii=False).encode())
        assert [digest(one.load()) for one in items(file)] == [digest(picture(seed)) for seed in "ab"]
        assert [one.name for one in items(file)] == [f"{file.name} line {line}" for line in (2, 7)]


PICTURES = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (PICTURES, lambda seed: {"bytes": png(picture(seed)), "path": f"/x/{seed}.png"}),
        (PICTURES, lambda seed: {"bytes": None, "path": f"{seed}.png"}),
        (pa.binary(), lambda seed: png(picture(seed))),
        (pa.string(), lambda seed: f"{seed}.png"),
        (pa.string(), coded),
        (pa.list_(PICTURES), lambda seed: [{"bytes": png(picture(seed)), "path": None}]),
    ],
    ids=["struct", "struct with a path", "bytes", "path", "base64", "list of one"],
)
def test_parquet_with_a_column_of_pictures(kind: Any, cell: Callable[[str], Any], tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    table = {
        "image": pa.array([cell("a"), cell("b")], kind),
        "question": ["Which?", "Which?"],
        "options": [["red", "blue"], ["blue", "red"]],
        "answer": ["A", "red"],
        "category": ["x", "y"],
        "unused": [1.5, None],
    }
    pq.write_table(pa.table(table), tmp_path / "q.parquet")
    found = items(tmp_path / "q.parquet")
    assert [one.name for one in found] == ["q.parquet row 0", "q.parquet row 1"]
    assert [digest(one.load()) for one in found] == [digest(picture(seed)) for seed in "ab"]
    assert [one.item for one in found] == [
        Item("Which?", Letters(("red", "blue")), "A", "x"),
        Item("Which?", Letters(("blue", "red")), "B", "y"),
    ]
    assert items(tmp_path)[1].digest == found[1].digest  # a folder of Parquet files


def test_parquet_rows_that_cannot_be_used_are_refused_by_their_number(tmp_path: Path) -> None:
    cells = [None, {"bytes": b"no picture", "path": None}, {"bytes": png(picture("a")), "path": None}]
    table = {
        "image": pa.array(cells, PICTURES),
        "question": ["Q?"] * 3,
        "answer": [1.0, 2.0, float("nan")],
        "A": ["x"] * 3,
    }
    pq.write_table(pa.table(table), tmp_path / "q.parquet")
    lines = refusals(tmp_path / "q.parquet")
    assert [line.split(": ")[0] for line in lines] == [f"q.parquet row {number}" for number in range(3)]
    assert "has 1 option. Give 2 to 26" in lines[2]
    pq.write_table(pa.table({**table, "A": [None] * 3}), tmp_path / "q.parquet")
    lines = refusals(tmp_path / "q.parquet")
    assert "has no image" in lines[0]
    assert "is not an image" in lines[1]
    assert [one.item for one in items(tmp_path / "q.parquet")] == [Item("Q?", ShortText())]


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "q.parquet").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="items needs pyarrow"):
        list(read(f"items={tmp_path / 'q.parquet'}"))


# --- broken rows ---

GOOD = {"image": "a.png", "question": "Which?"}
BROKEN: list[tuple[Any, str]] = [
    ({"image": "a.png"}, "has no question, among: image. Write it as 'question'."),
    ({"image": "a.png", "question": "  "}, "has no question"),
    ({"question": "Which?"}, "has no image. Give a path beside the file, a data URL or base64."),
    ({**GOOD, "image": "gone.png"}, "there is no file 'gone.png'"),
    ({**GOOD, "image": "../a.png"}, "'../a.png' leaves the data set's folder"),
    ({**GOOD, "image": "/etc/a.png"}, "leaves the data set's folder"),
    (
        {**GOOD, "image": "https://me:secret@example.org/a.png"},
        "'https://example.org/a.png' is an address, and nothing",
    ),
    ({**GOOD, "image": "out.png"}, "is a link that leaves the data set's folder"),
    ({**GOOD, "image": "note.txt"}, "which is neither a path nor a picture"),
    ({**GOOD, "image": 3}, "which is neither a path nor a picture"),
    ({**GOOD, "image": {"bytes": "x"}}, "has an image that is dict, not text"),
    ({**GOOD, "image": ["a.png", "b.png"]}, "has 2 pictures, and an item has one."),
    ({"question": "Which?", "images": ["a.png"] * 3}, "has 3 pictures, and an item has one."),
    ({**GOOD, "image": "data:image/png,%89PNG"}, "the data URL is not in base64"),
    ({**GOOD, "image": "data:image/png;base64,@@@@"}, "which is no base64"),
    ({**GOOD, "image": f"data:;base64,{coded('a')[:400]}"}, "is broken or cut short"),
    ({**GOOD, "image": "data:;base64,aGVsbG8="}, "is not an image"),
    ({**GOOD, "A": "red", "C": "blue"}, "has options A, C, where their letters should be A, B."),
    ({**GOOD, "options": {"1": "red", "2": "blue"}}, "has options 1, 2, where their letters should be A, B."),
    ({**GOOD, "form": "letters", "answer": "A"}, "is of the form 'letters' and has no options."),
    ({**GOOD, "options": ["red", "Red "]}, "has the option 'Red' twice, as A and B."),
    ({**GOOD, "options": ["red", ""]}, "has no words for option B."),
    ({**GOOD, "options": ["red"]}, "has 1 option. Give 2 to 26."),
    ({**GOOD, "options": list("abcdefghijklmnopqrstuvwxyz1")}, "has 27 options. Give 2 to 26."),
    ({**GOOD, "options": 4}, "has options 4, which are no list."),
    ({**GOOD, "options": ["red", "blue"], "answer": "C"}, "'C', which is none of its options (A. red, B. blue)."),
    (
        {**GOOD, "options": ["red", "blue"], "answer": "green"},
        "'green', which is none of its options (A. red, B. blue).",
    ),
    ({**GOOD, "options": ["red", "blue"], "answer": 1}, "'1', which is none of its options"),
    ({**GOOD, "options": ["B", "A"], "answer": "A"}, "which is one option by its letter and another by its words"),
    ({**GOOD, "form": "leters"}, "No form named 'leters'. Did you mean 'letters'?"),
    ({**GOOD, "form": "place"}, "No form named 'place'."),
    ({**GOOD, "form": "number", "answer": "many"}, "its answer is 'many', which is no answer in the form 'number'."),
    ({**GOOD, "form": "yes-no", "answer": "maybe"}, "its answer is 'maybe', which is no answer in the form 'yes-no'."),
    (
        {**GOOD, "answer": 3, "tolerance": -1},
        "its answer: form 'number': tolerance cannot be '-1'. Give a number from 0.",
    ),
    ({**GOOD, "answer": "yes", "relative": True}, "its answer: form 'yes-no' has no setting 'relative'."),
    ({**GOOD, "form": "cell", "rows": 3}, "its answer: form 'cell' needs columns, which was not given."),
    ({**GOOD, "answer": {"a": 1}}, "which is no text and no number"),
    ({**GOOD, "accepted": [{"a": 1}]}, "which is no list of spellings"),
    ({**GOOD, "question": "x" * 20_001}, "has a question of 20,001 signs, over 20,000."),
    ({**GOOD, "question": "Another?", "index": 1}, "has the index 1, as an earlier row has."),
    ("{", "is not JSON"),
    ('["a"]', "is not an object, but"),
    ('{"image": "a.png", "question": "\\ud800"}', "is not JSON"),
]


@pytest.mark.parametrize(("row", "wrong"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_row_is_named_with_its_line_and_the_others_are_read(row: Any, wrong: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(png(picture("o")))
    inner = tmp_path / "set"
    inner.mkdir()
    write(inner, "a")
    (inner / "note.txt").write_text("words")
    (inner / "out.png").symlink_to(outside)
    rows = [{**GOOD, "question": "First?", "index": 1}, row, {**GOOD, "question": "Last?"}]
    file = write_lines(inner / "q.jsonl", rows)
    (line,) = refusals(file)
    assert line.startswith("q.jsonl line 2: ")
    assert wrong in line
    assert line.endswith(".")
    assert "secret" not in line
    assert str(tmp_path) not in line
    assert [one.question for one in asked(file)] == ["First?", "Last?"]
    assert len(collect([f"items={file}"]).refused) == 1


def test_broken_rows_of_tables(tmp_path: Path) -> None:
    write(tmp_path, "a")
    file = tmp_path / "t.tsv"
    file.write_bytes(
        b"index\timage\tquestion\tA\tB\tC\tanswer\n"
        b"1\ta.png\tQ?\tone\t\tthree\tA\n"
        b"2\t9\tQ?\tone\ttwo\t\tA\n"
        b"3\ta.png\tQ?\tone\n"
        b'4\ta.png\t"Q\n?"\tone\ttwo\t\tD\n'
        b"5\ta.png\t\xff?\tone\ttwo\t\tA\n"
        b"6\ta.png\tQ?\tone\ttwo\t\tB\n"
        b'7\ta.png\t"never closed\tone\ttwo\t\tB\n'
    )
    lines = refusals(file)
    assert [line.split(": ")[0] for line in lines] == [f"t.tsv line {number}" for number in (2, 3, 4, 5, 7, 9)]
    parts = ("has options A, C, where", "no row of this index has a picture", "has 4 fields, the header 7")
    for line, part in zip(lines, (*parts, "none of its options", "is not UTF-8", "is never closed"), strict=True):
        assert part in line
    assert asked(file) == [Item("Q?", Letters(("one", "two")), "B")]


def test_a_file_that_is_none_says_what_is_expected(tmp_path: Path) -> None:
    cases = {
        "t.xlsx": (b"", r"is a file of \.xlsx"),
        "t.tsv": (b"index\tquestion\n1\tQ?\n", "has no column 'image', among: index, question"),
        "u.csv": (b"image,q\na.png,Q?\n", "has no column 'question', among: image, q"),
        "v.csv": (b"image,image,question\na.png,b.png,Q?\n", "has 2 columns named 'image'"),
        "q.json": (b'{"image": "a.png"}', r"q\.json is not a JSON list"),
        "r.json": (b"\xff", r"r\.json is not UTF-8"),
    }
    for name, (data, wrong) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=wrong) as error:
            list(read(f"items={tmp_path / name}"))
        assert "Expected: a file .jsonl" in str(error.value)
    with pytest.raises(InputError, match="No file or folder"):
        list(read(f"items={tmp_path / 'none.jsonl'}"))
    pq.write_table(pa.table({"question": ["Q?"]}), tmp_path / "q.parquet")
    assert "has no column 'image', among: question" in refusals(tmp_path / "q.parquet")[0]


def test_a_json_list_that_breaks_off_is_read_to_there(tmp_path: Path) -> None:
    file = tmp_path / "q.json"
    whole = json.dumps([{"image": coded(seed), "question": "Is it?"} for seed in "ab"], indent=0)
    file.write_text(whole[: whole.rindex("question")])
    assert len(items(file)) == 1
    assert refusals(file) == ["q.json line 6: is not JSON from here to the end. Export it again."]
    file.write_text("[" * 100_000)
    assert "is not JSON from here" in refusals(file)[0]


def test_an_endless_row_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rows, "LONGEST", 2_000)
    write(tmp_path, "a")
    file = write_lines(tmp_path / "q.jsonl", [GOOD, {**GOOD, "question": "x" * 3_000}, {**GOOD, "question": "Last?"}])
    assert len(items(file)) == 1
    assert "what follows is not read" in refusals(file)[0]
    table = tmp_path / "t.csv"
    table.write_text('image,question\na.png,Q?\na.png,"' + "x\n" * 3_000)
    assert len(items(table)) == 1
    assert refusals(table)[0].startswith("t.csv line 3: ")


def test_the_library_s_limit_of_a_field_is_put_back(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    large = base64.b64encode(png(np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8))).decode()
    assert len(large) > before
    assert len(items(write_table(tmp_path / "t.tsv", [{"index": "1", "image": large, "question": "Q?"}]))) == 1
    assert csv.field_size_limit() == before


@settings(max_examples=60)
@given(data=st.binary(max_size=300), suffix=st.sampled_from(["jsonl", "json", "csv", "tsv"]))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    file = tmp_path_factory.mktemp("any") / f"q.{suffix}"
    file.write_bytes((b"image,question\n" if suffix == "csv" else b"") + data)
    try:
        found = list(read(f"items={file}"))
    except InputError:
        return
    assert all(isinstance(one, Refusal) and "\n" not in one.line for one in found)


# --- as references ---


def test_two_questions_about_one_picture_are_two_references(tmp_path: Path) -> None:
    write(tmp_path, "a")
    rows = [{"image": "a.png", "question": question, "index": n} for n, question in enumerate(("One?", "Two?", "One?"))]
    found = collect([f"items={write_lines(tmp_path / 'q.jsonl', rows)}"])
    assert [one.name for one in found.references] == ["q.jsonl/0", "q.jsonl/1"]
    assert found.refused == ("q.jsonl/2: has the same pixels and question as q.jsonl/0. One of them is enough.",)


def test_scaled_items_keep_their_question(tmp_path: Path) -> None:
    write(tmp_path, "a")
    file = write_lines(tmp_path / "q.jsonl", [{"image": "a.png", "question": "Is it?", "answer": "yes"}])
    (whole,), (small,) = (collect([f"items={file}"], max_side=side).references for side in (0, 48))
    assert (whole.size, small.size) == ((64, 48), (48, 36))
    assert small.item == whole.item
    assert small.digest != whole.digest
    blur = distortion.find("blur")
    assert Series(small, blur).open()(0).pixels.shape == (36, 48, 3)


def test_a_series_holds_an_item_to_its_picture_and_its_question(tmp_path: Path) -> None:
    write(tmp_path, "a")
    file = write_lines(tmp_path / "q.jsonl", [{"image": "a.png", "question": "Is it?"}])
    (reference,) = collect([f"items={file}"]).references
    blur = distortion.find("blur")
    at = Series(reference, blur).open()
    assert at(0).digest == digest(picture("a"))
    assert at(20).digest == digest(blur.render(picture("a"), "any")(20))
    (tmp_path / "a.png").write_bytes(png(picture("b")))
    assert Series(reference, blur).open()(20).digest == at(20).digest, "shared with the series that is open"
    del at
    with pytest.raises(InputError, match="has other pixels than when it was planned"):
        Series(reference, blur).open()


@pytest.mark.parametrize("suffix", ["jsonl", "tsv"])
def test_a_list_that_changed_says_so(suffix: str, tmp_path: Path) -> None:
    rows = [{"index": str(n), "image": coded(seed), "question": "Is it?"} for n, seed in enumerate("ab")]
    file = tmp_path / f"q.{suffix}"
    write_lines(file, rows) if suffix == "jsonl" else write_table(file, rows)
    (_, second) = collect([f"items={file}"]).references
    file.write_bytes(file.read_bytes()[:-400])
    with pytest.raises(
        InputError, match=rf"q\.{suffix} line \d: is not the row it was\. Put the file back|broken|base64"
    ):
        second.load()
    os.remove(file)
    with pytest.raises(InputError, match="cannot be read"):
        second.load()


# --- limen's own ---

OWN = "3877d608d326cf91e5fbcd0348ab71d3"


def own() -> list[Reference]:
    return items("demo-items")


def test_own_items_are_the_same_everywhere() -> None:
    """Pixels of names: drawn in whole numbers, they do not depend on a version of NumPy or Pillow."""
    assert digests.of([[one.name, digest(one.load())] for one in own()]) == OWN


def test_own_items_are_many_and_answered() -> None:
    found = own()
    assert len(found) >= 60
    assert len({one.name for one in found}) == len({one.digest for one in found}) == len(found)
    assert {one.size for one in found} == {(320, 240)}
    categories = Counter(one.item.category for one in found if one.item)
    assert set(categories) == {"counting", "colours", "shapes", "left or right", "words", "numbers"}
    assert min(categories.values()) >= 12
    for one in found:
        assert one.item is not None
        assert one.item.right(one.item.truth)
        assert one.item.form.read(one.item.truth).value == one.item.truth  # as a model would say it
    assert {one.item.category for one in found[:6] if one.item} == set(categories)  # a limit takes some of each
    assert sum(len(png(one.load())) for one in found) < 1 << 20


def test_blind_guessing_stays_within_5_per_cent_of_chance() -> None:
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for one in own():
        assert one.item is not None
        groups[one.item.form.name, ""].append(one.item)
        groups[one.item.form.name, one.item.category].append(one.item)
        groups[one.item.form.name, one.item.question].append(one.item)  # a guesser may know what is asked
    for (form, _), known in groups.items():
        chance = {"letters": 1 / 4, "yes-no": 1 / 2}.get(form, 1 / len({item.truth for item in known}))
        for guess in {item.truth for item in known}:
            right = np.mean([item.right(guess) for item in known])
            assert abs(right - chance) <= 0.05, (form, guess, right, chance)
        if form in ("number", "text") and len(known) >= 20:
            assert chance <= 0.05  # any number or word may be right: chance is none
    letters = [item for item in groups["letters", ""] if isinstance(item.form, Letters)]
    words = Counter(item.form.options["ABCD".index(item.truth)] for item in letters if isinstance(item.form, Letters))
    assert len(words) == 8
    assert set(words.values()) == {4}  # nor does it help to choose by the words
