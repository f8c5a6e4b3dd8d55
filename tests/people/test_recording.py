"""What others recorded is written whole or not at all, and no two rows as one."""

from dataclasses import replace
from pathlib import Path

import pytest

from limen.errors import InputError
from limen.ladder import Ladder
from limen.people.recording import RecordedAnswer, Recording, series_of, unmade, write
from limen.question import find
from limen.source import Source
from limen.store.entries import PublishedEntry

KIND = unmade("fog", "fog", Ladder((1.0, 2.0), "m"), "a laboratory")
ROW = series_of("trials", "t.csv", KIND, "a.png")
ANSWER = RecordedAnswer("m", find("direct"), ROW, 1, "<yes>")
RECORDING = Recording(
    Source("trials", lambda path: iter(()), "", "", "", "", False), "t.csv", {"m": {"kind": "imported"}}, (KIND,),
    (find("direct"),), (ROW,), (ANSWER,),
)  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"series": (ROW, replace(ROW, name="b.png"))}, "the references 'a.png' and 'b.png' of 'fog' are one picture"),
        ({"answers": (ANSWER, replace(ANSWER, text="<no>"))}, "'m' has two answers about level 1 of 'a.png'"),
        ({"thresholds": [PublishedEntry("m", "direct", ROW.id, 1, [level]) for level in (1, 2)]}, "two thresholds of"),
    ],
)
def test_two_rows_are_never_written_as_one(tmp_path: Path, more: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=rf"t\.csv: .*{said}"):
        write(tmp_path / "run", replace(RECORDING, **more))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
