"""Questions of one's own from the command line: from a file to a threshold, a safe level and a report."""

import json
from pathlib import Path

import numpy as np
import pytest

from limen import registry
from limen.image import png
from tests.support.command import limen

PLUGIN = """
import numpy as np
from limen.observer import Observer, Reply, observer
from limen.trial import Answer, Attempt
import msgspec

class Options(msgspec.Struct):
    bears: float = 25.0

@observer("shade", Options)
class Shade(Observer):
    def __init__(self, model, options):
        self.name, self.bears = "shade", options.bears
    def fingerprint(self):
        return {"kind": "shade", "bears": self.bears}
    async def answer(self, query):
        (picture,) = query.pictures
        said = "B" if picture.pixels[..., 2].mean() > 200 - self.bears else "A"
        return Reply(Answer(said, finish="stop"), (Attempt("ok"),))
"""


@pytest.fixture
def questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two questions about blue squares, and three rows that cannot be asked."""
    rows: list[dict[str, object]] = [
        {"image": f"{k}.png", "question": f"Which colour has square {k}?", "options": ["red", "blue"], "answer": "B"}
        for k in range(2)
    ]
    for k in range(2):
        (tmp_path / f"{k}.png").write_bytes(png(np.full((64, 64, 3), (30, 60 + k, 200), np.uint8)))
    rows += [{"image": "9.png", "question": "How many?"}, {"image": "0.png"}, rows[0] | {"answer": "green"}]
    monkeypatch.setitem(registry._known, "observer", dict(registry.every("observer")))
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "shade.py").write_text(PLUGIN)
    return file


def test_from_a_file_of_questions_to_a_threshold(questions: Path, tmp_path: Path) -> None:
    asking = ("measure", "--ask", questions, "--distortion", "contrast", "--observer", "shade")
    done = limen(*asking, "--plugin", tmp_path / "shade.py", "--out", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["jnds"]
    assert (row["question"], row["n"], row["excluded"], row["censored"]["k"]) == ("answer-changes", 2, 0, 0)
    for place, what in ((3, "no file '9.png'"), (4, "has no question"), (5, "none of its options")):
        assert f"left out: questions.jsonl line {place}: " in done.stderr
        assert what in done.stderr
    assert "No exam" in done.stderr
    assert done.stderr.index("left out") < done.stderr.index("questions asked")
    again = limen("safe", tmp_path / "run", "--rho", "0.4")
    assert again.returncode == 0, again.stderr
    assert "leaves the answer of shade as it was" in " ".join(again.stdout.split())
    page = limen("report", tmp_path / "run", "--out", tmp_path / "page.html")
    assert page.returncode == 0, page.stderr
    assert "1st just noticeable difference" in (tmp_path / "page.html").read_text()


def test_words_are_a_ladder_too(questions: Path, tmp_path: Path) -> None:
    done = limen(
        "measure", "--ask", questions, "--distortion", "text-characters,text-words", "--observer", "shade",
        "--plugin", tmp_path / "shade.py", "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = {row["distortion"]: row for row in json.loads(done.stdout)["jnds"]}
    assert (rows["text-characters"]["n"], rows["text-characters"]["censored"]["k"]) == (2, 2), "it does not read"


def test_a_question_about_items_is_not_put_to_photographs(tmp_path: Path, photos: Path) -> None:
    asking = ("measure", "--images", photos, "--question", "answer-changes", "--observer", "solver")
    done = limen(*asking, "--distortion", "blur", "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "asks an item's question" in done.stderr
    assert not (tmp_path / "run").exists(), "it is known before anything is written"
    asking = ("measure", "--images", "demo-items", "--question", "direct", "--observer", "simulated")
    done = limen(*asking, "--distortion", "text-words", "--out", tmp_path / "run")
    assert "perturbs the words of an item's question, and direct asks none" in done.stderr
