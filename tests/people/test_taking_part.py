"""People take part in a study: they do the very series that a model does, and nothing of theirs is lost or doubled."""

import asyncio
import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

import limen
from limen.analysis import analyse
from limen.errors import InputError, StoreError
from limen.observer import FunctionObserver
from limen.people import lab as labs
from limen.people import seat as seats
from limen.people.lab import planned
from limen.people.protocol import Protocol
from limen.store import Store
from limen.store.entries import CATCHES, DEALT, SITTINGS
from limen.study import Spec
from limen.testing import photograph
from limen.web import server
from limen.web.people import Doors
from tests.support.taking_part import BLUR, SCREEN, Page, Refused, Study, answered, notices, rms, run, study

# --- the same as a model ---


@pytest.mark.parametrize(
    ("procedure", "question"),
    [({"name": "skip", "orders": 2}, "direct-implicit"), ({"name": "bisect"}, "choice-implicit"),
     ({"name": "scan"}, "direct")],
)  # fmt: skip
def test_who_answers_as_a_model_does_gets_its_thresholds(
    tmp_path: Path, procedure: dict[str, Any], question: str
) -> None:
    def model(first: Any, second: Any) -> bool:
        return rms(first.astype(float), second.astype(float)) > 5.0

    made = study(tmp_path, procedure=procedure, questions=(question,), distortions=("blur", "contrast"))

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            assert (await page.begin())["stage"] == "practice"
            assert (await page.go_on(notices(5.0)))["stage"] == "done"

    run(work)
    ours = limen.open(made.out)
    name = procedure["name"]
    theirs = limen.measure(
        "demo", FunctionObserver(model, name="m"), ("blur", "contrast"), limit=2, questions=question,
        procedure=procedure, exam=False,
    )  # fmt: skip
    assert name
    assert [(row.distortion, row.order, row.mean, row.censored.k) for row in ours.jnds] == [
        (row.distortion, row.order, row.mean, row.censored.k) for row in theirs.jnds
    ]
    trials = [
        sorted((one.distortion, one.reference, one.reference_level, one.level, one.verdict) for one in run.trials())
        for run in (ours, theirs)
    ]
    assert trials[0] == trials[1]
    assert ours.jnds[0].observer == "person:p01"


def test_a_person_is_a_sampled_observer_by_alias_screen_and_protocol(tmp_path: Path) -> None:
    made = study(tmp_path)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            await page.go_on(notices(5.0))

    run(work)
    with Store.open(made.out) as store:
        about = store.manifest["observers"]["person:p01"]
        shown = store.presentations("person:p01/1")
        keys = {trial.key for trial in store.trials() if trial.key}
        (sitting,) = store.measurements(SITTINGS).values()
    assert about["kind"] == "person"
    assert about["alias"] == "p01"
    assert about["screen"]["pixels_per_degree"] == pytest.approx(41.89, abs=0.01)  # 2 * 60 cm * tan(.5 deg) * 40
    assert about["protocol"]["presentation"] == "side-by-side"
    assert {one.key for one in shown} == keys
    assert all(one.ms_shown == one.reaction_time_ms == 500 for one in shown)
    moments = [one.shown_at for one in shown]
    assert moments == sorted(moments)
    assert len(set(moments)) == len(moments)
    assert sitting["began"] < moments[0]
    assert sitting["ended"] >= moments[-1]
    assert sitting["practice"] == [2, 2]


def test_many_at_once_each_in_an_order_of_their_own(tmp_path: Path) -> None:
    made = study(tmp_path, distortions=("blur", "contrast", "noise"), limit=3)
    orders: dict[str, list[str]] = {}

    async def one(alias: str, threshold: float) -> None:
        page = await made.join(alias)
        await page.begin()
        assert (await page.go_on(notices(threshold)))["stage"] == "done"
        orders[alias] = [turn["pictures"][0]["address"] for turn in page.seen]

    async def work() -> None:
        async with made.open():
            await asyncio.gather(*(one(f"p{number:02d}", 3.0 + number) for number in range(12)))

    run(work)
    with Store.open(made.out) as store:
        analysis = analyse(store)
        shown = store.presentations()
    assert set(analysis.manifest.observers) == {f"person:p{number:02d}" for number in range(12)}
    by_observer = {row.observer: row.mean for row in analysis.jnds if row.distortion == "blur"}
    means = [by_observer[f"person:p{number:02d}"] for number in range(12)]
    assert means == sorted(means)
    assert means[0] < means[-1]
    assert all(outcome.status.value == "complete" for outcome in analysis.outcomes)
    assert len(analysis.outcomes) == 12 * 9
    assert max(answered(made.out).values()) == 1
    firsts = {}
    series = {trial.key: trial.series for outcome in analysis.outcomes for r in outcome.responses for trial in r.trials}
    for one_shown in shown:
        firsts.setdefault(one_shown.session, []).append(series[one_shown.key])
    assert len({tuple(first[:6]) for first in firsts.values()}) > 6  # nobody's order is another's
    for first in firsts.values():
        assert len(set(first[:20])) > 3  # series are interleaved


def test_catch_trials_cannot_be_told_apart_and_come_as_often_as_declared(tmp_path: Path) -> None:
    made = study(tmp_path, {"catch": 0.2}, distortions=("blur", "contrast", "noise"), limit=3)
    keys = set()

    async def work() -> None:
        async with made.open():
            for alias, threshold in (("attentive", 5.0), ("careless", 1e9)):
                page = await made.join(alias)
                await page.begin()
                await page.go_on(notices(threshold))
                keys.update(tuple(sorted(turn)) for turn in page.seen)
                keys.update(turn["kind"] for turn in page.seen)
            owner = made.lab.overview()["participants"]
            assert [(one["alias"], one["attentive"]) for one in owner] == [("attentive", True), ("careless", False)]

    run(work)
    assert keys == {("form", "id", "kind", "pictures", "text"), "practice", "trial"}
    with Store.open(made.out) as store:
        rows = store.measurements(CATCHES)
        asked = len(store.presentations())
        rule = store.manifest["people"]["attention"]
        known = {trial.key for trial in store.trials()}
    assert rule == {"name": "catch", "share": 0.75, "fewest": 4}
    assert 0.15 < len(rows) / (len(rows) + asked) < 0.25
    assert {row["kind"] for row in rows.values()} == {"identical", "obvious"}
    mine = [row for row in rows.values() if row["observer"] == "person:attentive"]
    assert all(row["right"] for row in mine)
    others = [row for row in rows.values() if row["observer"] == "person:careless"]
    assert {row["right"] for row in others if row["kind"] == "identical"} == {True}
    assert {row["right"] for row in others if row["kind"] == "obvious"} == {False}
    assert not known & {row["id"] for row in rows.values()}  # they are in no series


@pytest.mark.parametrize("question", ["odd-one-out-3", "forced-choice"])
def test_forced_choice(tmp_path: Path, question: str) -> None:
    pictures = 3 if question == "odd-one-out-3" else 2
    procedure = {"name": "psi", "trials": 6, "guess": 1 / pictures, "sd": 0.1}
    made = study(tmp_path, questions=(question,), procedure=procedure, limit=1)
    picked: list[str] = []

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()

            def decides(turn: Mapping[str, Any], shown: list[Any]) -> str:
                assert turn["form"] == {"kind": "places", "count": pictures}
                assert len(shown) == pictures
                picked.append(notices(0.0)(turn, shown) if pictures == 3 else "1")
                return picked[-1]

            assert (await page.go_on(decides))["stage"] == "done"

    run(work)
    with Store.open(made.out) as store:
        analysis = analyse(store)
    flags = [r.verdict.yes for outcome in analysis.outcomes for r in outcome.responses if r.asked]
    assert len(flags) == 6
    if pictures == 3:
        assert all(flags)
    else:
        assert len(set(flags)) == 2  # who always picks the first is right as often as places fall


# --- nothing lost, nothing twice ---


def test_a_server_that_ends_in_the_middle(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    async def first() -> None:
        made = study(tmp_path, limit=4)
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told.update(await page.go_on(notices(5.0), most=9))
            told["again"] = await page.answer(told["turn"], "yes")  # and the page does not hear of it

    async def second() -> None:
        made = study(tmp_path, limit=4)
        async with made.open():
            page = made.link("p01")
            assert len(await page.pictures(told["again"]["turn"])) == 2  # of a page that had not fetched them yet
            before = answered(made.out)
            repeated = await page.answer(told["turn"], "no")  # the page sends it again, to a server that was away
            assert answered(made.out) == before
            pending = await page.answer(repeated["turn"], "yes")
            assert pending["answered"] == repeated["answered"] + 1
            assert (await page.go_on(notices(5.0)))["stage"] == "done"

    async def third() -> None:
        made = study(tmp_path, limit=4)
        async with made.open():
            page = made.link("p01")
            assert (await page.post("open"))["stage"] == "done"

    run(first)
    run(second)
    run(third)
    counted = answered(tmp_path / "run")
    assert max(counted.values()) == 1
    with Store.open(tmp_path / "run") as store:
        analysis = analyse(store)
        keys = {trial.key for trial in store.trials() if trial.key}
        assert store.attempts()["person:p01", "ok"] == len(keys) == len(counted)
        said = store.get(told["turn"]["id"])
    assert said is None or said.text == "<yes>"  # what was said first counts (None: it was a catch trial)
    assert all(outcome.status.value == "complete" for outcome in analysis.outcomes)


def test_the_same_answer_sent_often_and_at_once_counts_once(tmp_path: Path) -> None:
    made = study(tmp_path, {"practice": 0, "catch": 0.0})

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            turn = (await page.shown())["turn"]
            replies = await asyncio.gather(*(page.answer(turn, "yes") for _ in range(8)))
            assert len({reply["turn"]["id"] for reply in replies}) == 1
            assert {reply["answered"] for reply in replies} == {1}

    run(work)
    assert list(answered(made.out).values()) == [1]


def test_every_answer_sent_twice_counts_once(tmp_path: Path) -> None:
    made = study(tmp_path, limit=1)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told = await page.shown()
            while told["turn"] is not None:
                turn = told["turn"]
                first = await page.answer(turn, "yes")
                told = await page.answer(turn, "no")  # also the last of the practice, and the very last
                assert told["answered"] == first["answered"]
                if told["wait"]:
                    told = await page.shown()
            assert told["stage"] == "done"

    run(work)
    assert max(answered(made.out).values()) == 1


def test_the_later_tab_takes_over_and_the_earlier_is_told(tmp_path: Path) -> None:
    made = study(tmp_path)

    async def work() -> None:
        async with made.open():
            first = await made.join("p01")
            await first.begin()
            turn = (await first.shown())["turn"]
            second = made.link("p01", tab="another")
            assert (await second.post("open"))["took_over"]
            for name in ("beat", "next"):
                with pytest.raises(Refused, match="taken: This session goes on in another tab"):
                    await first.post(name)
            with pytest.raises(Refused, match="409 taken"):
                await first.answer(turn, "yes")
            await second.post("screen", {"screen": SCREEN})
            assert (await second.shown())["turn"]["id"] == turn["id"]

    run(work)


def test_a_page_that_was_silent_leaves_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(tmp_path)
    ahead = 0.0
    clock = time.time
    monkeypatch.setattr(seats.time, "time", lambda: clock() + ahead)

    async def work() -> None:
        nonlocal ahead
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            await page.go_on(notices(5.0), most=3)
            ahead = 100.0  # a laptop that was closed
            began = 1000 * clock()
            await page.post("beat")
            await page.post("gap", {"began": began + 50_000, "ended": began + 90_000, "why": "hidden"})  # within it
            await page.post("gap", {"began": began + 99_000, "ended": 9e12, "why": "hidden"})  # not in the future
            await page.post("gap", {"began": began, "ended": began - 5_000, "why": "hidden"})  # backwards: nothing
            (sitting,) = made.lab._seats["p01"].sittings
            ((start, end),) = sitting.gaps
            assert 95 < end - start < 102
            await page.go_on(notices(5.0))

    run(work)
    with Store.open(made.out) as store:
        (row,) = store.measurements(SITTINGS).values()
        moments = [one.shown_at for one in store.presentations()]
    assert len(row["gaps"]) == 1
    assert moments == sorted(moments)


def test_times_that_run_backwards_or_far_ahead_are_put_in_order(tmp_path: Path) -> None:
    made = study(tmp_path, {"practice": 0, "catch": 0.0})

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told = await page.shown()
            for shown_at in (1000 * time.time(), 0.0, 9.9e12, 1000 * time.time() - 60_000):
                told = await page.answer(told["turn"], "yes", shown_at=shown_at)

    run(work)
    with Store.open(made.out) as store:
        moments = [one.shown_at for one in store.presentations()]
    assert len(moments) == 4
    assert all(abs(moment - time.time()) < 60 for moment in moments)


# --- sittings ---


def test_a_sitting_ends_after_its_minutes_and_another_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(tmp_path, {"minutes": 10.0, "sittings": 2, "catch": 0.0})
    ahead = 0.0
    clock = time.time
    monkeypatch.setattr(seats.time, "time", lambda: clock() + ahead)

    async def work() -> None:
        nonlocal ahead
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told = await page.go_on(notices(5.0), most=5)
            assert 0 < told["minutes_left"] <= 10
            ahead = 700.0
            made.lab._seats["p01"].seen += 700  # it was heard of all the while
            told = await page.answer(told["turn"], "yes")
            assert (told["stage"], told["turn"]) == ("rest", None)
            with pytest.raises(Refused, match="This sitting has ended"):
                await page.answer({"id": "0" * 32}, "yes")
            assert (await page.post("open"))["stage"] == "screen"
            state = await page.post("screen", {"screen": SCREEN})
            assert (state["stage"], state["sitting"]) == ("trials", 2)  # no practice again
            assert (await page.go_on(notices(5.0)))["stage"] == "done"

    run(work)
    with Store.open(made.out) as store:
        rows = store.measurements(SITTINGS)
        sessions = {one.session for one in store.presentations()}
    assert list(rows) == ["person:p01/1", "person:p01/2"]
    assert sessions == set(rows)


def test_series_are_dealt_to_fit_a_sitting_and_others_come_in_the_next(tmp_path: Path) -> None:
    made = study(
        tmp_path, {"minutes": 5.0, "sittings": 2, "practice": 0}, distortions=("blur", "contrast"), limit=12,
        procedure={"name": "constant", "levels": [5, 10, 20]}, identical_pairs=False,
    )  # fmt: skip

    async def work() -> None:
        async with made.open():
            room = len(made.plan.series)
            assert f"of {room} series a sitting" in made.lab.cost
            for alias in ("p01", "p02"):
                page = await made.join(alias)
                await page.begin()
                assert (await page.go_on(notices(5.0)))["stage"] == "rest"
            page = made.link("p01")
            assert (await page.post("open"))["stage"] == "screen"
            await page.post("screen", {"screen": SCREEN})
            assert (await page.go_on(notices(5.0)))["stage"] == "done"  # no sitting is left

    run(work)
    with Store.open(made.out) as store:
        dealt = {key: row["series"] for key, row in store.measurements(DEALT).items()}
        asked = {(trial.observer, trial.series) for trial in store.trials()}
    assert dealt.keys() == {"person:p01/1", "person:p01/2", "person:p02/1"}
    first, second, other = (set(one) for one in dealt.values())
    assert 12 <= len(first) < 24
    assert not first & second
    assert len(first | second) == 24
    assert not second <= other or len(other - first) >= 24 - len(first)  # what the first did not get comes first
    assert asked == {(key.rpartition("/")[0], one) for key, series in dealt.items() for one in series}


def test_a_break_is_offered(tmp_path: Path) -> None:
    made = study(tmp_path, {"break_every": 5, "practice": 0, "catch": 0.0}, procedure={"name": "scan"})

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told = await page.shown()
            offered = []
            for _ in range(11):
                offered.append(told["break"])
                told = await page.answer(told["turn"], "no")
            assert [at for at, one in enumerate(offered) if one] == [5, 10]

    run(work)


def test_another_screen_is_another_observer(tmp_path: Path) -> None:
    made = study(tmp_path)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            with pytest.raises(Refused, match="screen: Pictures are not shown pixel by pixel"):
                await page.begin(SCREEN | {"checker": False})
            with pytest.raises(Refused, match="cannot be used"):
                await page.begin(SCREEN | {"pixels_per_cm": "1e999"})
            await page.begin()
            await page.go_on(notices(5.0), most=3)
            await page.post("stop")
            with pytest.raises(Refused, match=r"another screen than the one you began on .*20\.0"):
                await page.begin(SCREEN | {"pixels_per_cm": 20.0})
            await page.begin(SCREEN | {"pixels_per_cm": 40.8, "width": 1080, "height": 1920})  # turned, measured anew

    run(work)


def test_another_protocol_does_not_go_into_the_run(tmp_path: Path) -> None:
    async def work(made: Study) -> None:
        async with made.open():
            pass

    run(lambda: work(study(tmp_path)))
    for change, field in (
        ({"presentation": "flicker"}, "presentation"), ({"attention": {"share": 0.5}}, "share"),
        ({"consent": "Another text."}, "consent"), ({"confidence": ("low", "high")}, "confidence"),
    ):  # fmt: skip
        protocol = msgspec.convert({"practice": 2} | change, Protocol)
        again = Study(tmp_path / "run", protocol, BLUR)
        with pytest.raises(StoreError, match=rf"another study: people.*{field}"):
            run(functools.partial(work, again))


def test_confidence_is_kept_as_a_share(tmp_path: Path) -> None:
    made = study(tmp_path, {"confidence": ("guess", "rather", "sure"), "practice": 0, "catch": 0.0})

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told = await page.shown()
            with pytest.raises(Refused, match="There is no step 3 of confidence"):
                await page.answer(told["turn"], "yes", confidence=3)
            for step in (0, 1, 2, None):
                told = await page.answer(told["turn"], "yes", confidence=step)

    run(work)
    with Store.open(made.out) as store:
        assert [one.confidence for one in store.presentations()] == [0.0, 0.5, 1.0, None]


# --- who may ---


def test_aliases(tmp_path: Path) -> None:
    made = study(tmp_path)
    made.most = 2

    async def work() -> None:
        async with made.open():
            await made.join("p01")
            for alias, why in (
                ("P01", "takes part already"), ("a b", "cannot be an alias"), ("", "cannot be an alias"),
                ("<script>alert(1)</script>", "cannot be an alias"), ("x" * 33, "cannot be an alias"),
                ("../../etc", "cannot be an alias"), ("é", "cannot be an alias"),
            ):  # fmt: skip
                with pytest.raises(Refused, match=why):
                    await made.join(alias)
            await made.join("p02")
            with pytest.raises(Refused, match="No place is left"):
                await made.join("p03")
            invited = Page(made.session, made.origin, made.lab.links.invitation)
            with pytest.raises(Refused, match="please agree"):
                await invited.post("join", {"alias": "p04", "agreed": False})

    run(work)
    assert (made.out / labs.LINKS).stat().st_mode & 0o077 == 0


def test_a_participant_sees_nothing_of_anybody_else(tmp_path: Path) -> None:
    made = study(tmp_path)

    async def work() -> None:
        async with made.open():
            one, other = await made.join("p01"), await made.join("p02")
            await one.begin()
            await other.begin()
            turn = (await one.shown())["turn"]
            address = turn["pictures"][0]["address"]
            links = made.lab.links

            async def status(method: str, path: str, **headers: str) -> int:
                async with made.session.request(method, f"{made.origin}{path}", headers=headers) as reply:
                    return reply.status

            assert await status("GET", f"/{one.token}/{address}") == 200
            assert await status("GET", f"/{other.token}/{address}") == 409
            assert await status("GET", f"/{links.invitation}/{address}") == 404
            assert await status("GET", f"/{one.token}/picture/{turn['id']}/7.png") == 409
            for path in ("/", "/x/", f"/{'A' * 32}/", f"/{one.token}/links.json", f"/{one.token}/manifest.json",
                         f"/{one.token}/../{links.owner}/x.json", f"/{one.token}/trials.db"):  # fmt: skip
                assert await status("GET", path) == 404
            for token in (links.owner, links.invitation):
                assert await status("POST", f"/{token}/next", Origin=made.origin) in (404, 415)
            assert await status("PUT", f"/{one.token}/next") in (403, 405)
            assert await status("OPTIONS", f"/{one.token}/next") in (403, 405)
            assert await status("DELETE", f"/{one.token}/") in (403, 405)
            mine = await (await made.session.get(f"{made.origin}/{one.token}/state.json")).json()
            assert mine.keys() == {"role", "title", "consent", "instructions", "language"}
            owner = await (await made.session.get(f"{made.origin}/{links.owner}/state.json")).text()
            assert links.owner not in owner

    run(work)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:1", ""])
def test_what_changes_something_comes_from_the_page_itself(tmp_path: Path, origin: str) -> None:
    made = study(tmp_path)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            url = f"{made.origin}/{page.token}/open"
            headers = {"Origin": origin} if origin else {}
            async with made.session.post(url, json={"tab": "x"}, headers=headers) as reply:
                assert reply.status == 403
            hosts = {"Host": "evil.example", "Origin": "http://evil.example"}
            async with made.session.post(url, json={"tab": "x"}, headers=hosts) as reply:
                assert reply.status == 403
            same_site = {"Origin": made.origin, "Sec-Fetch-Site": "cross-site"}
            async with made.session.post(url, json={"tab": "x"}, headers=same_site) as reply:
                assert reply.status == 403

    run(work)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"), (b"[]", "application/json"), (b'{"tab": 1}', "application/json"),
        (b"\xff\xfe", "application/json"), (b'{"tab": "t", "id": "x"}', "application/json"), (b"tab=t", "text/plain"),
        (b"[" * 15_000, "application/json"), (b'{"tab": "' + b"x" * 20_000 + b'"}', "application/json"),
        (b'{"tab": "tab", "id": "a", "value": "yes", "shown_at": 1e999, "ms_shown": 1, "reaction_time_ms": 1}',
         "application/json"),
        (b'{"tab": "tab", "id": "a", "value": "yes", "shown_at": NaN, "ms_shown": 1, "reaction_time_ms": 1}',
         "application/json"),
        (b'{"tab": "tab", "id": "a", "value": "yes", "shown_at": 1, "ms_shown": -1, "reaction_time_ms": 1}',
         "application/json"),
    ],
)  # fmt: skip
def test_hostile_bodies_do_nothing(tmp_path: Path, body: bytes, kind: str) -> None:
    made = study(tmp_path)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            headers = {"Origin": made.origin, "Content-Type": kind}
            async with made.session.post(f"{made.origin}/{page.token}/answer", data=body, headers=headers) as reply:
                assert reply.status in (400, 409, 413, 415)
                assert b"Traceback" not in await reply.read()
            assert (await page.shown())["turn"] is not None

    run(work)
    assert not answered(made.out)


@pytest.mark.parametrize("value", ["maybe", "", "YES", "<script>", "yes\x00", "1", "x" * 900])
def test_what_is_no_answer_is_refused_and_can_be_given_again(tmp_path: Path, value: str) -> None:
    made = study(tmp_path, {"practice": 0, "catch": 0.0})

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            turn = (await page.shown())["turn"]
            with pytest.raises(Refused, match="invalid"):
                await page.answer(turn, value)
            assert (await page.answer(turn, "no"))["answered"] == 1

    run(work)


def test_doors() -> None:
    assert Doors("127.0.0.1").begin(80) == "http://127.0.0.1:80"
    assert Doors("::1").begin(80) == "http://[::1]:80"
    assert Doors("0.0.0.0", "https://lab.example.org/").begin(80) == "https://lab.example.org"
    with pytest.raises(InputError, match="--address"):
        Doors("127.0.0.1", "lab.example.org")
    assert server.LOOPBACK


def test_own_words_and_typed_answers(tmp_path: Path) -> None:
    count = {"name": "count", "text": "How many discs are there? Answer with a number.", "form": "number",
             "pictures": 1}  # fmt: skip
    made = study(
        tmp_path, {"wording": {"count": "How many discs do you see?"}}, questions=(count,),
        procedure={"name": "constant", "levels": [5]}, limit=1,
    )  # fmt: skip

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told = await page.shown()
            assert told["turn"]["text"] == "How many discs do you see?"
            assert told["turn"]["form"] == {"kind": "number"}
            with pytest.raises(Refused, match="no answer to this question"):
                await page.answer(told["turn"], "hello there")
            assert (await page.go_on(lambda turn, shown: "7"))["stage"] == "done"

    run(work)
    with Store.open(made.out) as store:
        assert {trial.answer.text for trial in store.trials() if trial.answer} == {"7"}
        assert len(photograph()) > 0


def test_impossible_times_are_not_believed(tmp_path: Path) -> None:
    made = study(tmp_path, {"practice": 0, "catch": 0.0})

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            told = await page.shown()
            await asyncio.sleep(0.3)
            for reaction, shown in ((250.0, 240.0), (1e13, 1e13), (0.0, 0.0)):
                told = await page.answer(told["turn"], "yes", reaction_time_ms=reaction, ms_shown=shown)
            await page.post("gap", {"began": 0, "ended": 1e13, "why": "hidden"})
            (sitting,) = made.lab._seats["p01"].sittings
            assert sum(end - begin for begin, end in sitting.gaps) < 5  # what was answered was no gap

    run(work)
    with Store.open(made.out) as store:
        first, wild, none = store.presentations()
    assert (first.reaction_time_ms, first.ms_shown) == (250.0, 240.0)
    assert wild.reaction_time_ms is None
    assert wild.ms_shown < 60_000
    assert none.reaction_time_ms is None


def test_an_answer_to_what_was_never_asked_is_refused_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "SETTLED", 0.5)
    made = study(tmp_path, {"practice": 0})

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()
            await page.shown()
            began = time.monotonic()
            with pytest.raises(Refused, match="gone"):
                await page.answer({"id": "f" * 32}, "yes")
            assert time.monotonic() - began < 20

    run(work)


def test_a_screen_can_be_measured_anew_before_anything_was_answered(tmp_path: Path) -> None:
    made = study(tmp_path, {"practice": 0, "catch": 0.0})

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin(SCREEN | {"pixels_per_cm": 7.0, "width": 1, "height": 1})  # pressed by mistake
            await page.shown()
            await page.begin()
            await page.go_on(notices(5.0), most=2)
            with pytest.raises(Refused, match="another screen"):
                await page.begin(SCREEN | {"pixels_per_cm": 7.0})
            assert (await page.go_on(notices(5.0)))["stage"] == "done"

    run(work)
    with Store.open(made.out) as store:
        assert store.manifest["observers"]["person:p01"]["screen"]["pixels_per_cm"] == 40.0
        assert analyse(store).outcomes[0].status.value == "complete"


def test_progress_counts_each_question_once(tmp_path: Path) -> None:
    made = study(
        tmp_path, {"practice": 0, "catch": 0.0, "minutes": 60.0}, questions=("direct", "choice", "same-different"),
        procedure={"name": "constant", "levels": [5, 20]}, identical_pairs=False,
    )  # fmt: skip

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            state = await page.begin()
            assert state["expected"] == 12
            assert state["minutes_left"] < 2
            told = await page.go_on(notices(5.0))
            assert (told["stage"], told["answered"]) == ("done", 12)

    run(work)


def test_buttons_and_texts_are_for_people(tmp_path: Path) -> None:
    letters = {"name": "l", "text": "Which?\nA. same\nB. unsure\nC. different\nAnswer with the option's letter from "
               "the given choices directly.", "form": "letters", "options": ["same", "unsure", "different"],
               "notices": ["different"]}  # fmt: skip
    made = study(
        tmp_path, {"practice": 0, "catch": 0.0}, questions=("odd-one-out-4", "same-different", letters), limit=1,
        procedure={"name": "constant", "levels": [30]}, identical_pairs=False,
    )  # fmt: skip
    met: dict[str, Any] = {}

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()

            def decides(turn: Mapping[str, Any], shown: list[Any]) -> str:
                met[turn["text"]] = turn["form"].get("options")
                return "C" if turn["text"] == "Which?" else notices(1.0)(turn, shown)

            assert (await page.go_on(decides))["stage"] == "done"

    run(work)
    assert met.keys() == {
        "One of these 4 images differs from the others. Which one?",
        "Are these two images the same or different?", "Which?",
    }  # fmt: skip
    assert [(one["value"], one["label"], one["key"]) for one in met["Which?"]] == [
        ("A", "same", "a"), ("B", "unsure", "b"), ("C", "different", "c")
    ]  # fmt: skip
    assert all(row.verdict == "yes" for row in limen.open(made.out).trials())


def test_an_items_options_stand_on_the_buttons_as_they_are_asked(tmp_path: Path) -> None:
    made = study(
        tmp_path, {"practice": 0, "catch": 0.0}, images=("demo-items",), questions=("answer-changes",), limit=6,
        procedure={"name": "constant", "levels": [50]}, distortions=("blur",),
    )  # fmt: skip
    told: list[tuple[str, list[str]]] = []

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            await page.begin()

            def decides(turn: Mapping[str, Any], shown: list[Any]) -> str:
                assert len(shown) == 1
                options = turn["form"].get("options")
                if options is None:
                    return {"number": "3", "cell": "1,1"}.get(turn["form"]["kind"], "red")
                told.append((turn["text"], [one["label"] for one in options]))
                return str(min(options, key=lambda one: one["label"])["value"])  # the same option, wherever it stands

            assert (await page.go_on(decides))["stage"] == "done"

    run(work)
    labels: dict[str, set[tuple[str, ...]]] = {}
    for text, options in told:
        labels.setdefault(text, set()).add(tuple(options))
    assert any(len(orders) > 1 for orders in labels.values())  # the control's stand in another order
    with Store.open(made.out) as store:
        analysis = analyse(store)
        parts = {(trial.reference, trial.level, trial.part) for trial in store.trials() if trial.key}
    assert parts <= {(0, 0, 0), (0, 0, 1000), (0, 50, 0), (0, 50, 1000)}  # each is asked once
    lettered = [one for one in analysis.outcomes if one.item is not None and one.item.form.name == "letters"]
    assert lettered
    for outcome in lettered:
        for response in outcome.responses:
            assert not response.verdict.yes  # nothing has changed, in whatever order options stand


@pytest.mark.parametrize(
    ("protocol", "spec", "said"),
    [
        ({"presentation": "flicker"}, {"questions": ("odd-one-out-3",)}, "pictures that flicker have one place"),
        ({"wording": {"nope": "x"}}, {}, "nope"), ({"wording": {"direct-implicit": "{wor}?"}}, {}, r"\{wor\}"),
    ],
)  # fmt: skip
def test_what_people_cannot_be_asked_is_said_beforehand(
    tmp_path: Path, protocol: dict[str, Any], spec: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        Study(tmp_path / "run", msgspec.convert(protocol, Protocol), BLUR | spec)


def test_who_goes_away_in_the_middle_of_a_sentence_leaves_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = study(tmp_path)

    async def work() -> None:
        async with made.open():
            page = await made.join("p01")
            host, port = made.origin.removeprefix("http://").split(":")
            for _ in range(5):
                _, writer = await asyncio.open_connection(host, int(port))
                head = f"POST /{page.token}/open HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {made.origin}\r\n"
                writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{{".encode())
                await writer.drain()
                writer.transport.abort()
            await asyncio.sleep(0.3)
            assert (await page.begin())["stage"] == "practice"

    run(work)
    assert "Traceback" not in caplog.text
    assert not caplog.records


def test_people_are_asked_a_level_as_often_as_it_tells_most_without_a_table_of_theirs() -> None:
    spec = Spec(images=("demo",), observers=(), distortions=("blur",), limit=1, procedure={"name": "psi"})
    assert planned(spec, Protocol()).method.draws == 0  # type: ignore[attr-defined]
