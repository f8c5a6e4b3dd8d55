"""Several endpoints of one model, counted at the servers by their own logs."""

import asyncio
import contextlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from limen import digest
from limen.analysis import analyse, trust
from limen.errors import FatalObserverError, InputError
from limen.image import Picture
from limen.observer import Hosted, Observer, Reply, Stopper, make
from limen.preflight import exam
from limen.question import Query
from limen.report import Report, sections
from limen.store import Store
from limen.store.publishing import Publisher
from limen.study import Spec, Study, load
from limen.trial import Trial
from tests.preflight.test_exam import LIMIT, Sighted, first_alone
from tests.support.command import limen
from tests.support.endpoint import Behaviour, Endpoint, Request, compare, html, status, together

PLAIN: dict[str, Any] = {"api_key_env": "", "backoff_s": 0.01, "timeout_s": 5}


@contextlib.contextmanager
def servers(count: int, **options: Any) -> Iterator[list[Endpoint]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Endpoint(**{"threshold": 8.0} | options)) for _ in range(count)]


def urls(running: list[Endpoint]) -> list[str]:
    return [server.base_url for server in running]


def host(server: Endpoint) -> str:
    return f"127.0.0.1:{server.port}"


def query(seed: int) -> Query:
    rng = np.random.default_rng(seed)
    one, other = (Picture.of(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)) for _ in range(2))
    return Query((one, other, "Is there any difference? Return <yes> or <no>."))


def study(photos: Path, at: list[str] | str, **options: Any) -> Study:
    table = {"name": "openai:toy", "base_url": at, **PLAIN, **options}
    return Study.plan(
        Spec(images=(str(photos),), observers=(table,), distortions=("noise", "contrast"), questions=("direct",))
    )


def thresholds(out: Path) -> list[object]:
    with Store.open(out) as store:
        return [(o.series.id, o.status, o.thresholds) for o in analyse(store).outcomes]


def shown(running: list[Endpoint]) -> list[Counter[bytes]]:
    return [Counter(seen.body for seen in server.requests) for server in running]


# --- the same run, at any number ---


def test_one_two_and_four_servers_give_the_same_thresholds_for_the_same_questions(tmp_path: Path, photos: Path) -> None:
    asked, found, keys = [], [], []
    with servers(1) as alone:
        study(photos, alone[0].base_url, label="toy").run(tmp_path / "1")
        asked.append(sum(shown(alone), Counter()))
        for count in (2, 4):
            with servers(count) as running:
                study(photos, urls(running), label="toy").run(tmp_path / str(count))
                asked.append(sum(shown(running), Counter()))
                assert all(server.requests for server in running)
    for out in ("1", "2", "4"):
        found.append(thresholds(tmp_path / out))
        with Store.open(tmp_path / out) as store:
            keys.append(sorted(trial.key for trial in store.trials()))
    assert asked[0] == asked[1] == asked[2]
    assert set(asked[0].values()) == {1}
    assert found[0] == found[1] == found[2]
    assert keys[0] == keys[1] == keys[2]


def test_a_series_is_asked_at_one_server(tmp_path: Path, photos: Path) -> None:
    with servers(3, latency=0.01) as running:
        study(photos, urls(running), concurrency=4).run(tmp_path / "run")
        where: dict[str, set[int]] = {}
        bodies = {seen.body: at for at, server in enumerate(running) for seen in server.requests}
        pixels = {
            seen.body: (re.sub(r"\W", "", seen.text), seen.files[0]) for server in running for seen in server.requests
        }
        for body, (text, reference) in pixels.items():
            where.setdefault(f"{text} {hash(reference)}", set()).add(bodies[body])
        counts = [len(server.requests) for server in running]
    assert len(where) == 8
    assert all(len(places) == 1 for places in where.values())
    assert all(counts)


def test_a_run_goes_on_at_more_servers_and_at_fewer_and_asks_nothing_twice(tmp_path: Path, photos: Path) -> None:
    with servers(3) as running:
        a, b, c = running
        for at, limit in (([a], 1), ([c, a, b], 2), ([a], 3), ([b, c], 4), ([b], 4)):
            url = urls(at) if len(at) > 1 else at[0].base_url
            table = {"name": "openai:toy", "base_url": url, **PLAIN}
            spec = Spec(images=(str(photos),), observers=(table,), distortions=("noise",), limit=limit)
            progress = Study.plan(spec).run(tmp_path / "run")
            assert not progress.unfinished
        assert set(sum(shown(running), Counter()).values()) == {1}
        assert progress.asked == 0
        with Store.open(tmp_path / "run") as store:
            assert store.manifest["observers"]["openai:toy"]["host"] == host(a)
            assert set(store.manifest["endpoints"]["openai:toy"]) == {f"{host(one)}/v1" for one in running}
            published = str(Publisher(store).manifest())
        assert not any(str(server.port) in published for server in running)
        with servers(1) as strange, pytest.raises(Exception, match="holds another study"):
            study(photos, strange[0].base_url).run(tmp_path / "run")


def test_one_server_keeps_the_fingerprint_it_had(tmp_path: Path) -> None:
    one = make("openai:toy", {"base_url": "http://a:8000/v1", **PLAIN})
    listed = make(
        "openai:toy", {"base_url": ["http://a:8000/v1"], **PLAIN, "rpm": 60, "tpm": 10**6, "adapt": "latency"}
    )
    several = make("openai:toy", {"base_url": ["http://a:8000/v1", "http://b:8000/v1"], **PLAIN})
    assert one.fingerprint() == listed.fingerprint() == several.fingerprint()
    assert several.concurrency == 2 * one.concurrency == 32
    assert (several.name, several.sampled, several.max_tokens) == (one.name, one.sampled, one.max_tokens)


# --- one that dies ---


def test_a_server_that_dies_loses_what_was_in_flight_there_and_is_used_again(tmp_path: Path, photos: Path) -> None:
    with servers(1) as calm:
        study(photos, calm[0].base_url, label="toy").run(tmp_path / "calm")
        wanted = set(shown(calm)[0])
    with servers(2, latency=0.02) as running:
        dying, living = running
        in_flight: list[int] = []

        def kill() -> None:
            while len(dying.requests) < 6:
                time.sleep(0.002)
            in_flight.append(dying.in_flight)
            dying.leave()
            while len(living.requests) < 25:
                time.sleep(0.002)
            dying.come_back()

        told: list[str] = []
        killer = threading.Thread(target=kill)
        killer.start()
        progress = study(photos, urls(running), label="toy", concurrency=2).run(
            tmp_path / "run", lambda progress: told.extend(progress.notices[len(told) :])
        )
        killer.join(10)
        before, after = shown(running)
        twice = sum((before + after).values()) - len(before + after)
        assert set(before + after) == wanted
        assert twice <= in_flight[0] <= 2
        assert not progress.unfinished
    assert thresholds(tmp_path / "run") == thresholds(tmp_path / "calm")
    what = f"{host(dying)} is left alone, and the other is asked: {host(dying)} "
    assert any(line.startswith((f"{what}takes no connection.", f"{what}broke the connection")) for line in told)
    with Store.open(tmp_path / "run") as store:
        outcomes = Counter({outcome: count for (_, outcome), count in store.attempts().items()})
        assert outcomes["moved"] >= 1
        assert outcomes["ok"] == len(wanted)


async def ask(one: Observer, *queries: Query) -> list[Reply]:
    return list(await asyncio.gather(*(one.answer(query) for query in queries)))


def pool(running: list[Endpoint], **options: Any) -> Any:
    return make("openai:toy", {"base_url": urls(running), **PLAIN, **options})


def test_one_that_is_back_is_asked_again_by_new_series() -> None:
    async def run() -> None:
        told: list[str] = []
        one = pool(running, concurrency=2)
        one.tell = told.append
        async with one:
            await ask(one, *map(query, range(8)))
            running[0].leave()
            replies = await ask(one, *map(query, range(8, 24)))
            assert all(reply.answer for reply in replies)
            moved = [a for reply in replies for a in reply.attempts if a.outcome == "moved"]
            assert moved
            assert all(f"Asked at {host(running[1])}." in a.detail and host(running[0]) in a.detail for a in moved)
            before = len(running[0].requests)
            running[0].come_back()
            while not any("is back after" in line for line in told):
                await asyncio.sleep(0.01)
            assert all(reply.answer for reply in await ask(one, *map(query, range(24, 40))))
            assert len(running[0].requests) > before

    with servers(2) as running:
        asyncio.run(asyncio.wait_for(run(), 20))


def test_all_away_are_waited_for_and_the_run_goes_on_by_itself(tmp_path: Path, photos: Path) -> None:
    with servers(2, latency=0.01) as running:

        def outage() -> None:
            while sum(len(server.requests) for server in running) < 12:
                time.sleep(0.002)
            for server in running:
                server.leave()
            time.sleep(0.5)
            running[1].come_back()

        told: list[str] = []
        thread = threading.Thread(target=outage)
        thread.start()
        progress = study(photos, urls(running), concurrency=2).run(
            tmp_path / "run", lambda progress: told.extend(progress.notices[len(told) :])
        )
        thread.join(10)
    assert not progress.unfinished
    assert any(
        line.startswith("None of the 2 endpoints answers. Waiting for one, 10 minutes at most.") for line in told
    )


def test_all_away_too_long_stop_the_run() -> None:
    async def run() -> None:
        async with pool(running, wait_for_server_s=0.3) as one:
            await ask(one, query(0))
            for server in running:
                server.leave()
            await ask(one, *map(query, range(1, 9)))

    with (
        servers(2) as running,
        pytest.raises(FatalObserverError, match="Nothing has answered at any of the 2 endpoints"),
    ):
        asyncio.run(asyncio.wait_for(run(), 20))


def test_of_those_that_are_away_from_the_start_none_is_said_to_be_asked() -> None:
    told: list[str] = []

    async def run() -> None:
        one = pool(running, wait_for_server_s=0.1)
        one.tell = told.append
        async with one:
            await ask(one, query(0))

    with servers(2) as running:
        for server in running:
            server.leave()
        with pytest.raises(FatalObserverError, match="Nothing answers at any of the 2 endpoints"):
            asyncio.run(run())
    assert [line.partition(".")[0] for line in told] == ["None of the 2 endpoints answers"]


def test_nobody_there_at_all_is_told_at_once() -> None:
    with servers(2) as running:
        for server in running:
            server.leave()
        began = time.monotonic()

        async def run() -> None:
            async with pool(running) as one:
                await ask(one, query(0))

        with pytest.raises(FatalObserverError, match=r"Nothing answers at any of the 2 endpoints \(127\.0\.0\.1:\d+, "):
            asyncio.run(run())
        assert time.monotonic() - began < 5


def test_one_that_answers_nothing_does_not_draw_all_series_to_itself() -> None:
    async def run() -> list[Reply]:
        async with pool(running, retries=2, concurrency=2) as one:
            replies = []
            for start in range(0, 60, 4):
                replies += await ask(one, *map(query, range(start, start + 4)))
            return replies

    with servers(2) as running:
        running[0].behaviour = status(500, "CUDA error")
        replies = asyncio.run(asyncio.wait_for(run(), 60))
        asked = len(running[0].requests)
    assert all(reply.answer for reply in replies)
    assert asked < 45


@pytest.mark.parametrize("sick", [status(429, "Rate limit reached"), status(500, "CUDA error"), html()])
def test_questions_move_at_once_from_one_that_refuses_and_one_line_names_it(sick: Behaviour) -> None:
    told: list[str] = []

    async def run() -> list[Reply]:
        one = pool(running, concurrency=4)
        one.tell = told.append
        async with one:
            replies = []
            for start in range(0, 40, 8):
                replies += await ask(one, *map(query, range(start, start + 8)))
            assert len(running[0].requests) < 24
            assert all(reply.answer for reply in replies)
            assert max(len(reply.attempts) for reply in replies) <= 3
            (line,) = told
            assert line.startswith(f"{host(running[0])} refuses, 3 questions moved, and the other is asked until ")
            running[0].behaviour = compare
            start = 100
            while not any("is back after" in line for line in told):
                start += 1
                await ask(one, query(start), query(start + 1000))
        return replies

    with servers(2) as running:
        running[0].behaviour = sick
        asyncio.run(asyncio.wait_for(run(), 60))
    assert len(told) == 2


def test_one_that_answered_nothing_is_named_at_the_end_of_a_short_run(tmp_path: Path, photos: Path) -> None:
    with servers(2) as running:
        running[0].behaviour = status(429, "Rate limit reached")
        told: tuple[str, ...] = ()

        def note(progress: Any) -> None:
            nonlocal told
            told = tuple(progress.notices)

        study(photos, urls(running), concurrency=1).run(tmp_path / "run", note)
    assert any(
        re.match(rf"{host(running[0])} (refuses|did not answer its last).* limits the rate \(429\)", line)
        for line in told
    )


def test_one_that_limits_the_rate_and_answers_is_asked_as_ever() -> None:
    async def at_most_three(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        if server.in_flight > 3:
            return await status(429, "Slow down", {"Retry-After": "0.02"})(server, seen, request)
        await asyncio.sleep(0.01)
        return await compare(server, seen, request)

    told: list[str] = []

    async def run() -> list[Reply]:
        one = pool(running, retries=50)
        one.tell = told.append
        async with one:
            return await ask(one, *map(query, range(80)))

    with servers(2, behaviour=at_most_three) as running:
        replies = asyncio.run(asyncio.wait_for(run(), 60))
    outcomes = {attempt.outcome for reply in replies for attempt in reply.attempts}
    assert outcomes == {"rate-limited", "ok"}
    assert not told


def test_all_that_refuse_are_waited_for_and_told_once() -> None:
    told: list[str] = []

    async def run() -> None:
        one = pool(running, wait_for_server_s=0.5)
        one.tell = told.append
        async with one:
            await ask(one, *map(query, range(12)))

    with (
        servers(2, behaviour=status(500, "CUDA error")) as running,
        pytest.raises(FatalObserverError, match=r"Nothing has answered at any of the 2 endpoints .* CUDA error"),
    ):
        asyncio.run(asyncio.wait_for(run(), 20))
    assert [line.split(" ")[1] for line in told] == ["refuses,", "of"]


def test_an_endpoint_that_refuses_its_exam_does_not_hold_up_the_others(tmp_path: Path, photos: Path) -> None:
    with servers(2, behaviour=Sighted()) as running:
        running[0].behaviour = status(429, "Rate limit reached")
        progress, told = examined(running, tmp_path / "run", photos)
    assert not progress.unfinished
    assert f"{host(running[0])} is left alone, and the other is asked: " in told
    assert told.count("left alone") == 1


def test_a_question_that_no_server_answers_stays_open_and_takes_none_out_of_use() -> None:
    poison = query(7)

    async def choosing(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        if np.array_equal(seen.pictures[0], poison.pictures[0].pixels):
            return await status(500, "boom")(server, seen, request)
        return await compare(server, seen, request)

    async def run() -> list[Reply]:
        async with pool(running, retries=2, logprobs=False) as one:
            return await ask(one, poison, *map(query, range(10, 20)))

    with servers(3, behaviour=choosing) as running:
        first, *others = asyncio.run(asyncio.wait_for(run(), 20))
    assert first.answer is None
    assert [attempt.outcome for attempt in first.attempts] == ["server-error", "moved", "server-error", "server-error"]
    assert all(reply.answer for reply in others)


def test_a_fatal_error_of_one_that_has_answered_takes_it_out_of_use_and_of_another_stops_the_run() -> None:
    async def run(*later: Query) -> list[str]:
        told: list[str] = []
        one = pool(running, concurrency=1)
        one.tell = told.append
        async with one:
            await ask(one, query(0), query(1))  # one at each
            running[0].behaviour = status(402, "no credit")
            replies = await ask(one, *later)
            assert all(reply.answer for reply in replies)
        return told

    with servers(2) as running:
        told = asyncio.run(run(*map(query, range(6, 20))))
        assert [line for line in told if "out of use" in line] == [
            f"{host(running[0])} is out of use until the next start: {host(running[0])} wants payment (402): "
            "no credit. Add credit and start again."
        ]
    with (
        servers(2, behaviour=status(401, "Incorrect API key")) as running,
        pytest.raises(FatalObserverError, match="key"),
    ):
        asyncio.run(run())


# --- one model ---


@pytest.mark.parametrize(
    ("names", "about", "told"),
    [
        (
            ("toy", "other"),
            ({}, {}),
            r"serve different models: 127\S+ says model 'toy', 127\S+ says 'other'\. Serve one",
        ),
        (("toy", "toy"), ({"root": "org/a"}, {"root": "org/b"}), "root 'org/a', .* says 'org/b'"),
        (("toy", "toy"), ({"revision": "1"}, {"revision": "2"}), "revision '1'"),
        (("toy", "toy"), ({"meta": {"n_params": 7}}, {"meta": {"n_params": 8}}), "n_params '7'"),
        (("toy", "toy"), ({"root": "/a/snapshots/1f"}, {"root": "/b/snapshots/2e"}), "root '1f'"),
    ],
)
def test_another_model_or_revision_is_refused(
    names: tuple[str, str], about: tuple[dict[str, Any], dict[str, Any]], told: str, tmp_path: Path, photos: Path
) -> None:
    with servers(2) as running:
        for server, name, more in zip(running, names, about, strict=True):
            server.models, server.about = (name,), more
        done = limen(
            "measure", "--images", photos, "--distortion", "noise", "--observer", "openai:toy", "-O", "api_key_env=",
            *(word for url in urls(running) for word in ("--base-url", url)), "--out", tmp_path / "run",
        )  # fmt: skip
        assert not any(server.requests for server in running)
    assert done.returncode == 1
    assert re.search(told, done.stderr.replace("\n", " "))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "about",
    [
        ({"root": "org/a"}, {"root": "/data/org/a"}),
        ({"root": "/data/a"}, {"root": "/mnt/models/a/"}),
        ({"root": "org/a", "created": 1}, {"created": 2}),
        ({}, {"root": "org/a"}),
    ],
)
def test_one_model_in_different_folders_is_one_model(about: tuple[dict[str, Any], dict[str, Any]]) -> None:
    async def run() -> list[Reply]:
        async with pool(running) as one:
            return await ask(one, query(1))

    with servers(2) as running:
        for server, more in zip(running, about, strict=True):
            server.models, server.about = ("toy",), more
        assert asyncio.run(run())[0].answer


def test_one_that_comes_back_with_another_model_is_left_alone() -> None:
    async def run() -> None:
        told: list[str] = []
        one = pool(running)
        one.tell = told.append
        async with one:
            await ask(one, *map(query, range(4)))
            running[0].leave()
            await ask(one, *map(query, range(4, 12)))
            running[0].models, before = ("other",), len(running[0].requests)
            running[0].come_back()
            while not any("now serves model 'other': left alone" in line for line in told):
                await asyncio.sleep(0.01)
            await ask(one, *map(query, range(12, 20)))
            assert len(running[0].requests) == before
            running[0].models = ("toy",)
            while not any("is back after" in line for line in told):
                await asyncio.sleep(0.01)

    with servers(2) as running:
        for server in running:
            server.models = ("toy",)
        asyncio.run(asyncio.wait_for(run(), 20))


# --- the exam ---


def examined(running: list[Endpoint], out: Path, photos: Path, **options: Any) -> tuple[Any, str]:
    at = urls(running) if len(running) > 1 else running[0].base_url
    plan = study(photos, at, max_tokens=LIMIT, **options)
    progress = plan.run(out, examine=exam.keep)
    return progress, "\n".join(progress.notices)


def test_the_exam_is_held_once_at_each(tmp_path: Path, photos: Path) -> None:
    with servers(3, behaviour=Sighted()) as running:
        _, told = examined(running[:1], tmp_path / "run", photos)
        assert told.startswith("exam of openai:toy passed (")
        before = [len(server.requests) for server in running]
        progress, told = examined(running, tmp_path / "run", photos)
        assert progress.asked == 0
        new = [len(server.requests) - count for server, count in zip(running, before, strict=True)]
        assert new[0] == 0
        assert new[1] == new[2] > 30
        assert "exam of openai:toy at " + host(running[1]) + " passed (" in told
        assert "openai:toy: its 3 endpoints answer 12 of 12 greedy questions alike." in told
        _, told = examined(running[::-1], tmp_path / "run", photos)
        assert told.count("passed, held before.") == 3
        assert [len(server.requests) - count for server, count in zip(running, before, strict=True)] == new
        with Store.open(tmp_path / "run") as store:
            names = [held.observer for held in exam.kept(store)]
        assert names[0] == "openai:toy"
        assert all(re.fullmatch(r"openai:toy #[0-9a-f]{8}", name) for name in names[1:])
        assert len({*names}) == 3


def test_an_exam_that_one_server_fails_names_it(tmp_path: Path, photos: Path) -> None:
    with servers(2, behaviour=Sighted()) as running:
        running[1].behaviour = Sighted(first_alone)
        with pytest.raises(FatalObserverError, match=f"openai:toy at {host(running[1])}: "):
            examined(running, tmp_path / "run", photos)


def test_unequal_answers_are_told_as_a_share(tmp_path: Path, photos: Path) -> None:
    class Wordy(Sighted):
        def said(self, text: str, shown: list[Any], chance: str) -> str:
            said = super().said(text, shown, chance)
            return said if "<" not in said and len(said) < 40 else f"{said} I am sure."

    with servers(2) as running:
        running[0].behaviour, running[1].behaviour = Sighted(), Wordy()
        _, told = examined(running, tmp_path / "run", photos)
    (line,) = re.findall(r"its 2 endpoints answer (\d+) of 12 greedy questions alike \((\d+)%; not ", told)
    assert 0 < int(line[0]) < 12
    assert int(line[1]) == round(100 * int(line[0]) / 12)


def test_what_is_found_at_one_server_marks_the_run(tmp_path: Path, photos: Path) -> None:
    with servers(2) as running:
        running[0].behaviour, running[1].behaviour = Sighted(), Sighted(threshold=250)
        examined(running, tmp_path / "run", photos)
    with Report.open((tmp_path / "run",)) as made:
        section, *_ = sections.of_observers(made.runs, made.apart)
        (row,) = trust.of_run(made.all, made.runs[0].store)
    table = section.tables[0]
    assert [re.sub("#.*", "#", cells[0]) for cells in table.rows] == ["openai:toy", "openai:toy #"]
    assert [cells[1] for cells in table.rows] == ["passed", "passed"]
    assert "answers no to anything" in table.rows[1][2]
    assert "answers no to anything" not in table.rows[0][2]
    assert any("another endpoint" in note for note in table.notes)
    assert {rule.rule: rule.seen for rule in row.rules}[
        "plain differences"
    ] == "0 of 5 plain differences of the exam seen"


def test_a_dry_run_counts_the_exam_at_each(photos: Path) -> None:
    words = ["measure", "--images", photos, "--distortion", "noise", "--observer", "openai:toy", "-O", "api_key_env="]
    counts = []
    for hosts in (("a",), ("a", "b", "c")):
        at = [word for one in hosts for word in ("--base-url", f"http://{one}/v1")]
        plan = json.loads(limen(*words, *at, "--dry-run", "--json").stdout)
        counts.append(plan["costs"][0]["exam"])
    assert counts[1] == 3 * counts[0] > 90


def test_one_that_was_away_at_the_exam_is_examined_when_it_is_back(tmp_path: Path, photos: Path) -> None:
    with servers(2, behaviour=Sighted(), latency=0.02) as running:
        running[1].leave()

        def back() -> None:
            while len(running[0].requests) < 3:
                time.sleep(0.002)
            running[1].come_back()

        thread = threading.Thread(target=back)
        thread.start()
        progress, told = examined(running, tmp_path / "run", photos, concurrency=1)
        thread.join(10)
        assert f"{host(running[1])} is left alone, and the other is asked: " in told
        assert not progress.unfinished
        with Store.open(tmp_path / "run") as store:
            assert len(store.manifest["exams"]) == 2


def test_limen_exam_examines_each_and_fails_where_one_is_away() -> None:
    with servers(2, behaviour=Sighted()) as running:
        words = ["exam", "--observer", "openai:toy", "-O", "api_key_env=", "-O", f"max_tokens={LIMIT}"]
        words += [word for url in urls(running) for word in ("--base-url", url)]
        done = limen(*words)
        assert done.returncode == 0, done.stderr
        for server in running:
            assert f"exam of openai:toy at {host(server)} passed (36 questions" in done.stdout
        assert "12 of 12 greedy questions alike" in done.stderr
        running[1].leave()
        done = limen(*words)
        assert done.returncode == 1
        missed = f"not examined: openai:toy at {host(running[1])} ({host(running[1])} takes no connection)."
        assert missed in " ".join(done.stdout.split())
        *_, entry = json.loads(limen(*words, "--json").stdout)
        assert entry == {
            "observer": "openai:toy",
            "not_examined": host(running[1]),
            "why": f"{host(running[1])} takes no connection.",
        }


# --- how fast ---


def test_refusals_halve_what_is_in_flight_and_nothing_is_lost() -> None:
    async def at_most_three(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        if server.in_flight > 3:
            return await status(429, "Slow down", {"Retry-After": "0.02"})(server, seen, request)
        await asyncio.sleep(0.01)
        return await compare(server, seen, request)

    async def run(adapt: str) -> tuple[int, int]:
        one = make("openai:toy", {"base_url": server.base_url, **PLAIN, "retries": 50, "adapt": adapt})
        async with one:
            replies = await ask(one, *map(query, range(80)))
        assert all(reply.answer for reply in replies)
        return len(server.requests), sum(len(reply.attempts) for reply in replies)

    refused = {}
    for adapt in ("refusals", "nothing"):
        with Endpoint(threshold=8.0, behaviour=at_most_three) as server:
            asked, attempts = asyncio.run(asyncio.wait_for(run(adapt), 60))
            assert asked == attempts
            refused[adapt] = asked - 80
    assert 0 < refused["refusals"] < refused["nothing"] / 2


def test_a_server_that_refuses_nothing_is_never_asked_slower() -> None:
    with Endpoint(threshold=8.0, behaviour=together(16)) as server:

        async def run() -> None:
            async with make("openai:toy", {"base_url": server.base_url, **PLAIN}) as one:
                await ask(one, *map(query, range(64)))
                assert one.window.allowed == 16  # type: ignore[attr-defined]

        asyncio.run(asyncio.wait_for(run(), 60))
        assert server.most_in_flight == 16


def test_rpm_is_one_budget_for_all_servers_and_kept_at_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limen.scale.pace.Budget.__init__.__defaults__", (None, None, 0.6))

    async def run() -> None:
        async with pool(running, rpm=6) as one:
            replies = await ask(one, *map(query, range(20)))
            assert all(reply.answer for reply in replies)

    with servers(2) as running:
        asyncio.run(asyncio.wait_for(run(), 20))
        times = sorted(seen.at for server in running for seen in server.requests)
    assert len(times) == 20
    assert max(sum(at <= other < at + 0.35 for other in times) for at in times) <= 6
    assert times[-1] - times[0] > 1.4


def test_a_question_that_tpm_never_allows_is_told_with_what_to_do() -> None:
    with servers(1) as running:
        reply = asyncio.run(ask_one(running[0], tpm=200))
        assert not running[0].requests
    assert reply.answer is None
    (attempt,) = reply.attempts
    assert attempt.outcome == "rejected"
    assert re.search(r"It may take 2\d\d tokens, and tpm allows 200 in a minute\. Raise tpm, or", attempt.detail)


async def ask_one(server: Endpoint, **options: Any) -> Reply:
    async with make("openai:toy", {"base_url": server.base_url, **PLAIN, **options}) as one:
        return (await ask(one, query(0)))[0]


# --- the end ---


@pytest.mark.parametrize("count", [1, 2])
def test_who_stops_waits_for_calls_under_way_and_for_no_others(count: int) -> None:
    async def run() -> None:
        one = make("openai:toy", {"base_url": urls(running), **PLAIN, "concurrency": 4, "rpm": 3})
        assert isinstance(one, Stopper)
        async with one:
            begun = [asyncio.create_task(one.answer(query(seed))) for seed in range(3)]
            await asyncio.wait(begun)
            calls = [asyncio.create_task(one.answer(query(seed))) for seed in range(3, 20)]
            await asyncio.sleep(0)  # they wait for a minute to pass, or for a place
            assert one.stop() == 0
            assert {reply.answer for reply in await asyncio.gather(*calls)} == {None}
        assert sum(len(server.requests) for server in running) == 3

    with servers(count) as running:
        asyncio.run(asyncio.wait_for(run(), 30))


def test_what_is_sent_when_it_stops_comes_in_and_a_refusal_is_not_waited_out() -> None:
    async def run() -> tuple[Reply, Reply]:
        async with make("openai:toy", {"base_url": urls(running), **PLAIN, "timeout_s": 60}) as one:
            calls = [asyncio.create_task(one.answer(query(seed))) for seed in range(2)]
            while running[0].in_flight < 2:
                await asyncio.sleep(0.002)
            assert isinstance(one, Stopper)
            assert one.stop() == 2
            stopped.set()
            first, second = await asyncio.gather(*calls)
            return first, second

    stopped = threading.Event()

    async def late(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        while not stopped.is_set():
            await asyncio.sleep(0.002)
        if np.array_equal(seen.pictures[0], query(1).pictures[0].pixels):
            return await status(429, "Slow down", {"Retry-After": "55"})(server, seen, request)
        return await compare(server, seen, request)

    with servers(1, behaviour=late) as running:
        first, second = asyncio.run(asyncio.wait_for(run(), 30))
    assert first.answer is not None
    assert [attempt.outcome for attempt in second.attempts] == ["rate-limited"]


# --- what is given ---


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["http://a/v1", "http://a/v1/"], "names a/v1 twice, and one server is one endpoint"),
        (["http://a/v1", "http://me:secret-77@b/v1"], "holds credentials"),
        (["http://a/v1", "b:8000"], "base_url 'b:8000' is not a web address"),
        ("http://a/v1,http://a/v1", "twice"),
        ("http://A:80/v1 http://a/v1", "names a:80/v1 and a/v1, one place, and one server is one endpoint"),
        (["http://localhost:8/v1", "http://127.0.0.1:8/v1"], "localhost:8/v1 and 127.0.0.1:8/v1, one place"),
        ('["http://[::1]:8/v1", "http://127.0.0.1:8/v1"]', "one place"),
        ("http://a/v1 b/v1", r"base_url has white space in it\. Give it as https://HOST/v1"),
        ([], "names no endpoint"),
        ("@nowhere.txt", r"nowhere\.txt: cannot be read \(No such file or directory\)\. Give a text file"),
        ([f"http://h{n}/v1" for n in range(300)], "names 300 endpoints. Give 256 at most."),
    ],
)
def test_a_list_that_cannot_be_used_is_told_in_one_line(given: Any, told: str) -> None:
    with pytest.raises(InputError, match=told) as refused:
        make("openai:toy", {"base_url": given})
    assert "\n" not in str(refused.value)
    assert "secret-77" not in str(refused.value)


def test_a_file_of_servers(tmp_path: Path) -> None:
    file = tmp_path / "servers.txt"
    file.write_text("# eight of them\nhttp://a:1/v1\n\n  http://b:1/v1  # the slow one\r\n", encoding="utf-8")
    one = make("openai:toy", {"base_url": f"@{file}", **PLAIN})
    assert isinstance(one, Hosted)
    assert one.places == ("a:1/v1", "b:1/v1")
    file.write_text("http://a:1/v1\nhttp://b:1/v1\nhttp://a:1/v1\n")
    with pytest.raises(InputError, match=r"servers\.txt line 3: .* twice"):
        make("openai:toy", {"base_url": f"@{file}"})
    file.write_text("http://a:1/v1\nhttp://x:y@b:1/v1\n")
    with pytest.raises(InputError, match=r"servers\.txt line 2: .* holds credentials") as refused:
        make("openai:toy", {"base_url": f"@{file}"})
    assert "x:y" not in str(refused.value)
    file.write_text("http://a:1/v1 http://b:1/v1, http://c:1/v1\n")
    for given in (
        f"@{file}",
        "http://a:1/v1,http://b:1/v1 http://c:1/v1",
        '["http://a:1/v1", "http://b:1/v1", "http://c:1/v1"]',
    ):
        three = make("openai:toy", {"base_url": given, **PLAIN})
        assert isinstance(three, Hosted)
        assert three.places == ("a:1/v1", "b:1/v1", "c:1/v1")
    file.write_text("http://a:1/v1\nhttp://b:1/v1 c:1/v1\n")
    with pytest.raises(InputError, match=r"servers\.txt line 2: .* white space"):
        make("openai:toy", {"base_url": f"@{file}"})
    with pytest.raises(InputError, match=f"is a file. Put an @ before it: @{re.escape(str(file))}."):
        make("openai:toy", {"base_url": str(file)})
    file.write_text("# none\n")
    with pytest.raises(InputError, match=r"servers\.txt: names no endpoint"):
        make("openai:toy", {"base_url": f"@{file}"})


def test_a_study_file_takes_a_list_or_a_file_beside_it(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "servers.txt").write_text("http://a:1/v1\nhttp://b:1/v1\n")
    for given in ('"@servers.txt"', '["http://a:1/v1", "http://b:1/v1"]', '["http://a:1/v1", "@more.txt"]'):
        (tmp_path / "more.txt").write_text("http://b:1/v1\n")
        (tmp_path / "study.toml").write_text(
            f'images = ["photos"]\n[[observers]]\nname = "openai:toy"\nbase_url = {given}\n'
        )
        (one,) = Study.plan(load(tmp_path / "study.toml")).observers
        assert isinstance(one, Hosted)
        assert one.places == ("a:1/v1", "b:1/v1")


def test_a_rate_for_an_observer_without_a_server_is_refused(photos: Path, tmp_path: Path) -> None:
    done = limen(
        "measure", "--images", photos, "--observer", "simulated", "--distortion", "blur", "--rpm", 60, "--out",
        tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "limen: --rpm limits what a server is sent, and no observer has one. Leave it out.\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["-O", "rpm=5", "--rpm", "60"],
            "--rpm and -O rpm are one setting and given two values. Leave one of them out.",
        ),
        (
            ["-O", "base_url=@s.txt", "--base-url", "http://a/v1"],
            "--base-url and -O base_url are one setting and given",
        ),
        (["-O", "rpm=60", "--rpm", "60"], ""),
    ],
)
@pytest.mark.parametrize("command", ["measure", "exam"])
def test_a_setting_that_is_given_two_values_is_refused(words: list[str], told: str, command: str, photos: Path) -> None:
    images = ["--images", photos, "--distortion", "noise", "--dry-run"] if command == "measure" else []
    wait = {"measure": ["--wait-for-server", "9", "-O", "wait_for_server_s=9"], "exam": []}[command]
    if command == "exam" and not told:
        return  # it would be held
    done = limen(command, *images, "--observer", "openai:toy", "-O", "api_key_env=", *wait, *words)
    assert done.returncode == bool(told), done.stderr
    assert told in done.stderr


def test_the_first_line_of_a_run_names_the_hosts() -> None:
    one = make("openai:toy", {"base_url": [f"http://h{n}:1/v1" for n in range(6)], **PLAIN})
    assert one.notice == (
        "Photographs will be sent to h0:1, h1:1, h2:1, h3:1 and 2 more (6 endpoints) without encryption."
    )


def test_what_a_trial_says_decides_where_but_not_what(tmp_path: Path) -> None:
    async def run() -> list[int]:
        async with pool(running) as one:
            for number in range(12):
                asked = query(100 + number)
                name = asked.key(digest.of(dict(one.fingerprint())))
                one.follow(Trial("openai:toy", "direct", "one series", 0, number, 0, False, 0, name))
                await one.answer(asked)
        return [len(server.requests) for server in running]

    with servers(3) as running:
        assert sorted(asyncio.run(run())) == [0, 0, 12]
