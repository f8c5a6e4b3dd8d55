"""What becomes of answers, sittings and links where a disk or a server fails, or several people come at once."""

import asyncio
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limen import files
from limen.analysis import analyse, sittings
from limen.errors import InputError, StoreError
from limen.observer import Observer
from limen.people import lab as labs
from limen.people import seat as seats
from limen.people import turns
from limen.people.protocol import Protocol
from limen.preflight import model_input
from limen.store import Store
from limen.store.entries import DEALT, SITTINGS
from limen.web.people import Doors
from tests.support.taking_part import SCREEN, Page, Refused, Study, answered, notices, run, study

PLAIN = {"practice": 0, "catch": 0.0}
OTHER = SCREEN | {"pixels_per_cm": 44.0}


def failing(
    monkeypatch: pytest.MonkeyPatch, made: Study, name: str, waits: float | None = None, fails: int = 1
) -> None:
    """Have a method of the run's store fail the next times; or, with `waits`, take so many seconds."""
    real: Callable[..., Any] = getattr(made.lab._store, name)
    left = [fails]

    async def write(*given: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            if waits is None:
                raise StoreError("disk full")
            await asyncio.sleep(waits)
        return await real(*given, **more)

    monkeypatch.setattr(made.lab._store, name, write)


# --- answers ---


@pytest.mark.parametrize("again", ["at once", "after a reload", "after a restart"])
def test_an_answer_whose_times_could_not_be_kept_is_sent_again_and_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    met: list[str] = []
    turn: dict[str, Any] = {}

    async def first() -> None:
        made = study(tmp_path, PLAIN)
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            turn.update((await page.shown())["turn"])
            failing(monkeypatch, made, "add_presentations")
            with pytest.raises(Refused, match="closed: disk full"):
                await page.answer(turn, "yes")
            if again != "after a restart":
                await go_on(page)

    async def second() -> None:
        made = study(tmp_path, PLAIN)
        async with made.open():
            await go_on(made.link("p01"))

    async def go_on(page: Page) -> None:
        if again != "at once":
            await page.begin()
        told = await page.answer(turn, "no")
        assert told["answered"] == 1
        met.append(turn["id"])
        for _ in range(3):
            met.append(told["turn"]["id"])
            told = await page.answer(told["turn"], "yes")
        assert told["answered"] == 4

    run(first)
    if again == "after a restart":
        run(second)
    assert len(set(met)) == 4  # none is shown twice
    assert answered(tmp_path / "run") == Counter(met)
    with Store.open(tmp_path / "run") as store:
        said = store.get(turn["id"])
    assert said is not None
    assert said.text == "<yes>"  # what was said first


def test_a_disk_that_is_slow_once_holds_nobody_up_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "SETTLED", 0.2)
    made = study(tmp_path, PLAIN)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            turn = (await page.shown())["turn"]
            failing(monkeypatch, made, "add", waits=1.0)
            for _ in range(2):  # the second while it is still being written
                with pytest.raises(Refused, match="503 closed: Your answer could not be kept"):
                    await page.answer(turn, "yes")
            await asyncio.sleep(1.2)
            told = await page.answer(turn, "yes")
            assert told["answered"] == 1
            assert told["turn"]["id"] != turn["id"]

    run(work)
    assert list(answered(made.out).values()) == [1]


def test_who_answers_when_nothing_more_can_be_asked_hears_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(tmp_path, PLAIN)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told = await page.shown()
            while told["ahead"] is None:
                told = await page.post("next")
            failing(monkeypatch, made, "add")
            with pytest.raises(Refused, match="503 closed: Your answer could not be kept. disk full"):
                await page.answer(told["ahead"], "yes")
            with pytest.raises(Refused, match="503 closed: The study cannot go on: disk full"):
                await page.answer(told["turn"], "yes")
            await page.begin()  # loaded again: the disk has room again
            assert (await page.answer(told["turn"], "yes"))["answered"] == 1
            assert (await page.go_on(notices(5.0)))["stage"] == "done"

    run(work)
    assert max(answered(made.out).values()) == 1


def test_an_old_answer_sent_again_in_a_later_sitting_is_no_other(tmp_path: Path) -> None:
    made = study(tmp_path, PLAIN)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told = await page.shown()
            first = told["turn"]
            await page.answer(first, "yes")
            await page.post("stop")
            state = await page.begin()
            for seconds in (0.1, 2.0):
                assert (await page.answer(first, "yes", seconds=seconds))["answered"] == state["answered"] == 1

    run(work)
    with Store.open(made.out) as store:
        (only,) = store.presentations()
    assert (only.session, only.reaction_time_ms) == ("person:p01/1", 500)


def test_of_an_answer_with_two_presentations_the_first_counts(tmp_path: Path) -> None:
    made = study(tmp_path, PLAIN)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            await page.go_on(notices(5.0))
            first, *_ = made.lab._store.presentations()
            later = replace(first, session="person:p01/2", shown_at=first.shown_at + 100, reaction_time_ms=9.0)
            await made.lab._store.add_presentations([later])  # as runs of earlier versions may have it

    run(work)
    with Store.open(made.out) as store:
        told = sittings.shown(analyse(store))
    assert {(one.presentation.session, one.presentation.reaction_time_ms) for one in told} == {("person:p01/1", 500)}


# --- sittings ---


def test_a_screen_measured_anew_is_that_of_all_sittings(tmp_path: Path) -> None:
    async def first() -> None:
        made = study(tmp_path, PLAIN)
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            await page.post("stop")
            await page.begin()
            await page.post("screen", {"screen": OTHER})
            await page.go_on(notices(5.0), most=2)

    async def second() -> None:
        made = study(tmp_path, PLAIN)
        async with made.open():
            page = made.link("p01")
            with pytest.raises(Refused, match=r"another screen.*44\.0 pixels per cm; now"):
                await page.begin()
            await page.begin(OTHER)
            assert (await page.go_on(notices(5.0)))["stage"] == "done"

    run(first)
    with Store.open(tmp_path / "run") as store:
        screens = [row["screen"] for row in store.measurements(SITTINGS).values()]
        about = store.manifest["observers"]["person:p01"]
    assert [one["pixels_per_cm"] for one in (*screens, about["screen"])] == [44.0] * 3
    run(second)


def test_a_screen_that_could_not_be_written_down_is_written_when_it_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = study(tmp_path, PLAIN)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            store = made.lab._store
            with monkeypatch.context() as patched:

                def full(stage: str, rows: Mapping[str, Any]) -> None:
                    raise StoreError("disk full")

                patched.setattr(store, "add_measurements", full)
                with pytest.raises(Refused, match="disk full"):
                    await page.post("screen", {"screen": OTHER})
            await page.post("screen", {"screen": OTHER})
            (row,) = store.measurements(SITTINGS).values()
            assert row["screen"]["pixels_per_cm"] == 44.0

    run(work)


def test_practice_goes_on_where_it_was_and_is_kept_in_whichever_sitting_it_ends(tmp_path: Path) -> None:
    kinds: list[str] = []

    async def first() -> None:
        made = study(tmp_path, PLAIN | {"practice": 5})
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            await page.go_on(notices(5.0), most=2)
            await page.post("stop")
            assert (await page.begin())["sitting"] == 2
            await page.go_on(notices(5.0), most=2)

    async def second() -> None:
        made = study(tmp_path, PLAIN | {"practice": 5})
        async with made.open():
            page = made.link("p01")
            assert (await page.begin())["stage"] == "practice"
            await page.go_on(notices(5.0))
            kinds.extend(turn["kind"] for turn in page.seen)

    run(first)
    run(second)
    assert Counter(kinds)["practice"] == 1
    with Store.open(tmp_path / "run") as store:
        rows = store.measurements(SITTINGS)
    assert [row["practice"] for row in rows.values()] == [[5, 5], [0, 0]]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_later_sitting_is_dealt_its_series_also_after_a_restart(tmp_path: Path, restarted: bool) -> None:
    def made() -> Study:
        protocol = PLAIN | {"minutes": 2.0, "sittings": 3}
        return study(tmp_path, protocol, limit=6, distortions=("blur", "contrast"))

    async def first() -> None:
        here = made()
        async with here.open():
            page = await here.join("p01")
            await page.begin()
            await page.go_on(notices(5.0), most=4)
            await page.post("stop")
            if not restarted:
                await go_on(page)

    async def second() -> None:
        here = made()
        async with here.open():
            await go_on(here.link("p01"))

    async def go_on(page: Page) -> None:
        await page.begin()
        assert (await page.go_on(notices(5.0)))["stage"] == "rest"

    run(first)
    if restarted:
        run(second)
    with Store.open(tmp_path / "run") as store:
        dealt = {key: set(row["series"]) for key, row in store.measurements(DEALT).items()}
        asked = {trial.series for trial in store.trials()}
    assert dealt.keys() == {"person:p01/1", "person:p01/2"}
    assert all(dealt.values())
    assert asked == set().union(*dealt.values())


def test_a_page_that_is_opened_while_its_questions_are_let_go_is_answered(tmp_path: Path) -> None:
    made = study(tmp_path, PLAIN)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            seat = made.lab._seats["p01"]
            for _ in range(10):
                _, told = await asyncio.gather(seat.leave(), page.post("open"))
                assert told["stage"] == "screen"
            assert (await page.shown())["turn"] is not None

    run(work)


def test_nothing_is_written_of_who_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(tmp_path, PLAIN)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            await page.go_on(notices(5.0), most=3)
            seat, store, written = made.lab._seats["p01"], made.lab._store, []
            with monkeypatch.context() as patched:
                patched.setattr(store, "add_measurements", lambda *given: written.append(given))
                for _ in range(3):
                    await seat.leave()
            assert not written

    run(work)


# --- several at once ---


def test_a_screen_measured_anew_while_others_begin_costs_nobody_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = study(tmp_path, PLAIN)
    real = model_input.calibrate

    def slow(observer: Observer, *given: Any) -> None:
        time.sleep(0.5 if observer.name == "person:b" else 0.0)
        real(observer, *given)

    monkeypatch.setattr(model_input, "calibrate", slow)

    async def work() -> None:
        async with made.open():
            pages = [await made.join(alias) for alias in ("a", "b", "c")]
            await pages[0].begin()
            b_begins = asyncio.create_task(pages[1].begin())
            await asyncio.sleep(0.2)
            await pages[2].begin()
            await pages[0].post("screen", {"screen": OTHER})
            await b_begins
            for page in pages:
                assert (await page.go_on(notices(5.0)))["stage"] == "done"

    run(work)
    with Store.open(made.out) as store:
        known = store.manifest["observers"]
        assert {outcome.observer for outcome in analyse(store).outcomes} == set(known)
    sizes = {name: about["screen"]["pixels_per_cm"] for name, about in known.items()}
    assert sizes == {"person:a": 44.0, "person:b": 40.0, "person:c": 40.0}


def test_questions_are_not_foreseen_for_people(tmp_path: Path) -> None:
    made = study(tmp_path, PLAIN, look_ahead=2, procedure={"name": "bisect"})

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            assert (await page.go_on(notices(5.0)))["stage"] == "done"

    run(work)
    with Store.open(made.out) as store:
        assert store.unneeded() == 0


# --- links ---


def test_the_owner_sees_everybody_while_somebody_joins_and_where_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = study(tmp_path, PLAIN)
    keep = labs._keep

    def slow(file: Path, links: labs.Links) -> None:
        time.sleep(0.4)
        keep(file, links)

    def full(file: Path, links: labs.Links) -> None:
        raise StoreError("disk full")

    async def work() -> None:
        async with made.open():

            async def aliases() -> list[str]:
                address = f"{made.origin}/{made.lab.links.owner}/state.json"
                async with made.session.get(address) as reply:
                    assert reply.status == 200
                    return [one["alias"] for one in (await reply.json())["participants"]]

            monkeypatch.setattr(labs, "_keep", slow)
            joining = asyncio.create_task(made.join("p01"))
            await asyncio.sleep(0.2)
            assert await aliases() == []
            await joining
            assert await aliases() == ["p01"]
            monkeypatch.setattr(labs, "_keep", full)
            with pytest.raises(Refused, match="disk full"):
                await made.join("p02")
            assert await aliases() == ["p01"]
            monkeypatch.setattr(labs, "_keep", keep)
            await made.join("p02")  # the alias is not taken
            assert await aliases() == ["p01", "p02"]

    run(work)
    assert list(labs._links(made.out / labs.LINKS).participants.values()) == ["p01", "p02"]


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_nobody_else_can_read_links_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / labs.LINKS
    left = file.with_name(f".{file.name}.1.part")  # of a server that was killed
    mine = file.with_name(f".{file.name}.{os.getpid()}.part")
    modes: list[int] = []
    put = files._put

    def seen(draft: Path, target: Path) -> None:
        modes.append(draft.stat().st_mode & 0o777)
        put(draft, target)

    monkeypatch.setattr(files, "_put", seen)
    before = os.umask(0o022)
    try:
        for one in (left, mine, file):
            one.write_bytes(b"{}")
        labs._keep(file, labs.Links(labs.token(), labs.token()))
        files.write(tmp_path / "other.json", b"{}")
    finally:
        os.umask(before)
    assert modes == [0o600, 0o644]
    assert file.stat().st_mode & 0o777 == 0o600
    assert not files.drafts(file)
    assert json.loads(file.read_bytes())["participants"] == {}


# --- requests ---


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://["}, 403), ({"Origin": ""}, 403), ({"Origin": "{origin}@evil"}, 403),
        ({"Origin": "ftp://{host}"}, 403), ({"Host": "["}, 403), ({"Host": "[::1"}, 403), ({"Host": ""}, 403),
        ({"Host": "127.0.0.1:a"}, 403), ({"Content-Encoding": "gzip"}, 200), ({"Content-Encoding": "br"}, 200),
        ({"Content-Type": ";=\u00ff"}, 415), ({"Expect": "nothing"}, 417), ({}, 200),
    ],
)  # fmt: skip
def test_hostile_headers_are_refused_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, headers: dict[str, str], status: int
) -> None:
    made = study(tmp_path, PLAIN)
    body = b'{"tab": "tab"}'

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            host = made.origin.removeprefix("http://")
            name, port = host.split(":")
            told = {
                "Host": host, "Origin": made.origin, "Content-Type": "application/json", "Connection": "close",
                "Content-Length": str(len(body)),
            } | {key: value.format(origin=made.origin, host=host) for key, value in headers.items()}  # fmt: skip
            reader, writer = await asyncio.open_connection(name, int(port))
            lines = "".join(f"{key}: {value}\r\n" for key, value in told.items())
            writer.write(f"POST /{page.token}/beat HTTP/1.1\r\n{lines}\r\n".encode() + body)
            reply = await reader.read()
            writer.close()
            assert reply.split()[1] == str(status).encode(), reply

    run(work)
    assert not caplog.records


@pytest.mark.parametrize("address", ["http://[", "https://[::1", "http://a:b", "http://a:99999", "http://"])
def test_an_address_that_is_none_is_said(address: str) -> None:
    with pytest.raises(InputError, match="--address"):
        Doors("127.0.0.1", address)


# --- catch trials ---


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15, 0.2, 0.22, 0.25, 0.3, 0.4, 0.45, 0.5])
def test_catch_trials_come_as_often_as_declared_and_one_in_each_block(share: float) -> None:
    protocol = Protocol(catch=share)
    places = [shown for shown in range(2_000) if turns.is_catch(protocol, "p01", shown)]
    assert len(places) == round(2_000 * share)
    gaps = [later - earlier for earlier, later in itertools.pairwise(places)]
    assert max(gaps) < 2 * (1 / share + 1)


def test_blocks_of_a_whole_length_have_their_catch_trials_where_they_had_them() -> None:
    found = {
        share: [shown for shown in range(40) if turns.is_catch(Protocol(catch=share), "p01", shown)]
        for share in (0.1, 0.2, 0.25, 0.5)
    }
    assert found == {
        0.1: [7, 16, 29, 31], 0.2: [3, 8, 14, 15, 21, 29, 33, 35], 0.25: [3, 6, 11, 12, 17, 23, 26, 28, 35, 36],
        0.5: [1, 3, 5, 6, 8, 11, 13, 14, 17, 18, 21, 22, 25, 26, 28, 31, 32, 34, 37, 38],
    }  # fmt: skip
