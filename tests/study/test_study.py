"""A study from images to thresholds: what is asked, kept, resumed, refused."""

import asyncio
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limen import distortion
from limen import question as questions
from limen.analysis import Analysis, SeriesStatus, analyse
from limen.errors import FatalObserverError, InputError, ObserverError, StoreError
from limen.image import decode, digest, lossless, png
from limen.observers.simulated import Simulated, SimulatedOptions
from limen.question import Query
from limen.store import Store
from limen.study import Progress, Spec, Study, load
from limen.testing import photograph, simulate
from tests.support.toy import Toy

YES, NO = "Yes, there is a noticeable difference in blur.", "No, there is no noticeable difference."


def rms(query: Query) -> float:
    first, last = query.pictures
    return float(np.sqrt(np.mean((first.pixels.astype(float) - last.pixels) ** 2)))


def noticing(threshold: float) -> Callable[[Query], str]:
    return lambda query: YES if rms(query) > threshold else NO


def run(out: Path, observer: Any, images: Path, **entries: Any) -> Progress:
    offline = entries.pop("offline", False)
    spec = Spec(images=(str(images),), observers=("simulated",), **({"distortions": ("blur", "noise")} | entries))
    return dataclasses.replace(Study.plan(spec), observers=(observer,)).run(out, offline=offline)


def analysed(out: Path) -> Analysis:
    with Store.open(out) as store:
        return analyse(store)


def thresholds(out: Path) -> dict[tuple[str, str, str], list[str]]:
    return {
        (o.question, o.series.distortion, o.series.name): [str(t) for t in o.thresholds] for o in analysed(out).outcomes
    }


def trials(out: Path) -> list[Any]:
    with Store.open(out) as store:
        return [
            (t.series, t.reference, t.level, t.again, t.key, t.answer.text if t.answer else None)
            for t in store.trials()
        ]


def test_thresholds_are_those_of_the_observer(tmp_path: Path, photos: Path) -> None:
    """Recovery: with a sharp criterion, J is where the measured difference passes it, by another road."""
    run(tmp_path / "run", Toy(noticing(5.0)), photos, procedure={"name": "skip", "orders": 0})
    for outcome in analysed(tmp_path / "run").outcomes:
        image = photograph(outcome.series.name.removesuffix(".png"), 64, 80)

        render = distortion.find(outcome.series.distortion).render(image, outcome.series.key)

        def says(reference: int, level: int, render: Any = render) -> bool:
            return float(np.sqrt(np.mean((render(reference).astype(float) - render(level)) ** 2))) > 5.0

        assert outcome.status is SeriesStatus.COMPLETE
        assert [t.level for t in outcome.thresholds] == [
            t.level for t in simulate("scan", says, 50, orders=0).thresholds
        ]


def test_kept_references_are_the_pixels_shown_and_no_key_depends_on_their_files(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "run", Toy(noticing(5.0)), photos)
    files = kept(tmp_path / "run")
    assert len(files) == len(list(photos.iterdir()))
    assert all(digest(decode(file)) == name for name, file in files.items())

    monkeypatch.setattr(lossless, "png", with_pillow)
    run(tmp_path / "other", Toy(noticing(5.0)), photos)
    assert trials(tmp_path / "other") == trials(tmp_path / "run")
    others = kept(tmp_path / "other")
    assert others.keys() == files.keys()
    assert all(others[name] != files[name] for name in files)


def kept(out: Path) -> dict[str, bytes]:
    with Store.open(out) as store:
        return {row.picture: data for row in store.series() if (data := store.picture(row.picture))}


def with_pillow(pixels: np.ndarray) -> bytes:
    """Encode as limen 0.1 did."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def test_results_do_not_depend_on_concurrency(tmp_path: Path, photos: Path) -> None:
    for concurrency in (1, 3, 64):
        observer = Simulated("", SimulatedOptions(slope=2, false_alarms=0.1, lapses=0.1, concurrency=concurrency))
        run(tmp_path / str(concurrency), observer, photos, procedure={"name": "skip", "orders": 3})
    assert trials(tmp_path / "1") == trials(tmp_path / "3") == trials(tmp_path / "64")
    assert thresholds(tmp_path / "1") == thresholds(tmp_path / "64")


def test_the_same_command_again_asks_nothing(tmp_path: Path, photos: Path) -> None:
    observer = Toy(noticing(5.0))
    first = run(tmp_path / "run", observer, photos)
    before, asked = trials(tmp_path / "run"), sum(observer.asked.values())
    again = run(tmp_path / "run", observer, photos)
    assert (again.asked, again.replayed) == (0, first.asked)
    assert sum(observer.asked.values()) == asked
    assert trials(tmp_path / "run") == before
    assert max(observer.asked.values()) == 1


def test_a_larger_limit_appends(tmp_path: Path, photos: Path) -> None:
    observer = Toy(noticing(5.0))
    run(tmp_path / "run", observer, photos, limit=2)
    assert len(thresholds(tmp_path / "run")) == 4
    run(tmp_path / "run", observer, photos, limit=4)
    assert max(observer.asked.values()) == 1
    run(tmp_path / "whole", Toy(noticing(5.0)), photos, limit=4)
    assert trials(tmp_path / "run") == trials(tmp_path / "whole")


def test_a_failure_is_no_verdict_and_is_asked_again(tmp_path: Path, photos: Path) -> None:
    calls = 0

    def flaky(query: Query) -> str | None:
        nonlocal calls
        calls += 1
        return None if calls % 5 == 0 else noticing(5.0)(query)

    first = run(tmp_path / "run", Toy(flaky), photos)
    assert first.unfinished
    assert {left.kind for left in first.unfinished} == {"rate-limited"}
    left = {(series.distortion, series.reference) for series in first.unfinished}
    open_ = [o for o in analysed(tmp_path / "run").outcomes if o.status is SeriesStatus.UNFINISHED]
    assert open_
    assert {(o.series.distortion, o.series.name) for o in open_} <= left  # the others lack only an identical pair
    assert all(not o.thresholds for o in open_)
    run(tmp_path / "run", Toy(noticing(5.0)), photos)
    run(tmp_path / "calm", Toy(noticing(5.0)), photos)
    assert trials(tmp_path / "run") == trials(tmp_path / "calm")
    attempts = analysed(tmp_path / "run").attempts
    assert attempts["toy", "rate-limited"] == 2 * len(first.unfinished)
    assert first.failures == 2 * len(first.unfinished)


def test_an_observer_that_never_answers_stops_the_run(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(FatalObserverError, match="questions in a row got no answer"):
        run(
            tmp_path / "run",
            Toy(lambda query: None),
            photos,
            distortions=("blur", "noise", "jpeg", "mask", "qr", "text"),
        )
    assert not trials(tmp_path / "run")


def test_an_unreadable_answer_is_asked_once_more_in_other_words(tmp_path: Path, photos: Path) -> None:
    def mumbling(query: Query) -> str:
        return noticing(5.0)(query) if "Compare the first image" in query.text else "%%%% ####"

    observer = Toy(mumbling)
    run(tmp_path / "run", observer, photos, distortions=("noise",))
    assert sum("Compare the first image" in text for text in observer.texts) == len(observer.texts) / 2
    run(tmp_path / "calm", Toy(noticing(5.0)), photos, distortions=("noise",))
    assert thresholds(tmp_path / "run") == thresholds(tmp_path / "calm")

    never = Toy(lambda query: "%%%% ####")
    run(tmp_path / "never", never, photos, distortions=("noise",))
    (row,) = analysed(tmp_path / "never").answers
    assert row.unreadable.value == 1.0
    (jnd,) = analysed(tmp_path / "never").jnds
    assert (jnd.n, jnd.unreadable) == (0, 4)
    assert {outcome.status for outcome in analysed(tmp_path / "never").outcomes} == {SeriesStatus.UNREADABLE}


def test_identical_pairs_are_shown_at_every_reference(tmp_path: Path, photos: Path) -> None:
    run(tmp_path / "run", Toy(lambda query: YES if rms(query) > 5 or rms(query) == 0 else NO), photos,
        procedure={"name": "skip", "orders": 2})  # fmt: skip
    shown = {(t[1], t[2]) for t in trials(tmp_path / "run") if t[1] == t[2]}
    levels = {t.reference for o in analysed(tmp_path / "run").outcomes for t in o.thresholds}
    assert {reference for reference, _ in shown} == levels
    for row in analysed(tmp_path / "run").answers:
        assert row.false_alarms_clean.value == 1.0
        assert row.false_alarms_clean.n == 4
        assert row.false_alarms_distorted.n == 4
    run(tmp_path / "without", Toy(noticing(5.0)), photos, identical_pairs=False)
    assert not [t for t in trials(tmp_path / "without") if t[1] == t[2]]


def test_one_question_is_put_once_though_two_series_ask_it(tmp_path: Path, photos: Path) -> None:
    """With the implicit question the clean identical pair of a photograph is one question for all distortions."""
    observer = Toy(noticing(5.0))
    run(tmp_path / "run", observer, photos, questions=("direct-implicit",))
    assert max(observer.asked.values()) == 1
    clean = [t for t in trials(tmp_path / "run") if t[1] == t[2] == 0]
    assert len(clean) == 8
    assert len({t[4] for t in clean}) == 4


def test_a_stimulus_equal_to_the_reference_is_never_asked(tmp_path: Path) -> None:
    folder = tmp_path / "grey"
    folder.mkdir()
    grey = np.repeat(photograph("a", 64, 64).mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    (folder / "grey.png").write_bytes(png(grey))
    observer = Toy(lambda query: YES)
    run(tmp_path / "run", observer, folder, distortions=("saturation",))
    (outcome,) = analysed(tmp_path / "run").outcomes
    assert outcome.status is SeriesStatus.NOT_APPLICABLE
    assert outcome.floor
    (row,) = analysed(tmp_path / "run").jnds
    assert (row.n, row.not_applicable) == (0, 1)
    assert sum(observer.asked.values()) == 1  # the identical pair only


def test_another_study_in_the_same_directory_is_refused(tmp_path: Path, photos: Path) -> None:
    run(tmp_path / "run", Toy(noticing(5.0)), photos)
    with pytest.raises(StoreError, match="holds another study: procedure"):
        run(tmp_path / "run", Toy(noticing(5.0)), photos, procedure={"name": "scan"})
    with pytest.raises(StoreError, match="holds another study: seed"):
        run(tmp_path / "run", Toy(noticing(5.0)), photos, seed=1)
    with pytest.raises(StoreError, match="holds another study: question direct"):
        run(tmp_path / "run", Toy(noticing(5.0)), photos, order=questions.Order.SWAPPED)
    run(tmp_path / "run", Toy(noticing(5.0), name="second"), photos)
    assert set(analysed(tmp_path / "run").manifest.observers) == {"toy", "second"}


def test_offline_asks_nobody(tmp_path: Path, photos: Path) -> None:
    run(tmp_path / "run", Toy(noticing(5.0)), photos, limit=2)
    observer = Toy(noticing(5.0))
    progress = run(tmp_path / "run", observer, photos, limit=3, offline=True)
    assert not observer.asked
    assert {left.kind for left in progress.unfinished} == {"not-recorded"}
    assert len(progress.unfinished) == 2


def test_a_recorded_scan_replays_through_skip(tmp_path: Path, photos: Path) -> None:
    from limen.observers.recorded import Recorded, RecordedOptions

    run(
        tmp_path / "scan",
        Simulated("", SimulatedOptions(slope=2, false_alarms=0.1)),
        photos,
        procedure={"name": "scan"},
    )
    observer = Recorded(str(tmp_path / "scan"), RecordedOptions())
    progress = run(tmp_path / "skip", observer, photos, procedure={"name": "skip"})
    # Skip may ask beyond the scan's last level; such a series is an error here, never a guess.
    whole = {key: value for key, value in thresholds(tmp_path / "skip").items() if value}
    assert whole
    assert all(thresholds(tmp_path / "scan")[key] == value for key, value in whole.items())
    assert len(whole) + len(progress.unfinished) == 8


def test_the_manifest_says_what_was_measured(tmp_path: Path, photos: Path) -> None:
    run(tmp_path / "run", Toy(noticing(5.0)), photos)
    with Store.open(tmp_path / "run") as store:
        manifest = store.manifest
    assert manifest["schema"] == 3
    assert manifest["procedure"] == {"name": "skip", "gap": 1, "confirm": 2, "orders": 1}
    assert manifest["distortions"]["blur"]["strengths"][:2] == [0.5, 1.0]
    assert manifest["observers"] == {"toy": {"kind": "toy", "name": "toy"}}
    assert manifest["questions"]["direct"]["digest"] == questions.find("direct").digest
    assert str(tmp_path) not in (tmp_path / "run" / "manifest.json").read_text()
    assert str(tmp_path).encode() not in (tmp_path / "run" / "trials.db").read_bytes()


def test_references_are_kept_within_the_budget(tmp_path: Path, photos: Path) -> None:
    run(tmp_path / "kept", Toy(noticing(5.0)), photos)
    run(tmp_path / "none", Toy(noticing(5.0)), photos, keep_megabytes=0)
    with Store.open(tmp_path / "kept") as kept, Store.open(tmp_path / "none") as none:
        for row in kept.series():
            assert kept.picture(row.picture) == png(photograph(row.name[0], 64, 80))
            assert none.picture(row.picture) is None


def test_a_failing_question_shared_by_series_is_no_crash(tmp_path: Path, photos: Path) -> None:
    """All distortions of one photograph share the clean identical pair of the implicit question."""
    observer = Toy(lambda query: None if rms(query) == 0 else NO, concurrency=8)
    kinds = ("blur", "noise", "contrast", "mask")
    progress = run(tmp_path / "run", observer, photos, questions=("direct-implicit",), distortions=kinds, limit=1)
    assert len(progress.unfinished) == 4
    again = Toy(noticing(5.0), concurrency=8)
    assert not run(
        tmp_path / "run", again, photos, questions=("direct-implicit",), distortions=kinds, limit=1
    ).unfinished
    assert max(again.asked.values()) == 1


def test_an_observer_may_raise_its_failure(tmp_path: Path, photos: Path) -> None:
    calls = 0

    def raising(query: Query) -> str:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ObserverError("timeout", "no answer in 5 s")
        return noticing(5.0)(query)

    progress = run(tmp_path / "run", Toy(raising), photos)
    assert [left.kind for left in progress.unfinished] == ["timeout"]
    assert progress.done == 8


def test_an_unreadable_answer_without_its_paraphrase_is_unfinished(tmp_path: Path, photos: Path) -> None:
    def silent(query: Query) -> str | None:
        return None if "Compare the first image" in query.text else ""

    run(tmp_path / "run", Toy(silent), photos, limit=1, distortions=("noise",))
    assert [o.status for o in analysed(tmp_path / "run").outcomes] == [SeriesStatus.UNFINISHED]


def test_questions_that_were_never_planned_are_not_unfinished(tmp_path: Path, photos: Path) -> None:
    run(tmp_path / "run", Toy(noticing(5.0), name="a"), photos)
    run(tmp_path / "run", Toy(lambda query: "A" if rms(query) > 5 else "B", name="b"), photos, questions=("choice",))
    assert {(o.observer, o.question, o.status) for o in analysed(tmp_path / "run").outcomes} == {
        ("a", "direct", SeriesStatus.COMPLETE), ("b", "choice", SeriesStatus.COMPLETE),
    }  # fmt: skip


def test_a_study_runs_inside_a_running_loop(tmp_path: Path, photos: Path) -> None:
    async def notebook() -> Progress:
        return run(tmp_path / "run", Toy(noticing(5.0)), photos, limit=1)

    assert asyncio.run(notebook()).done == 2


def test_flags_change_a_study_files_procedure(tmp_path: Path, photos: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'images = ["photos"]\nobservers = ["simulated"]\nprocedure = {name = "scan", orders = 3, confirm = 5}'
    )
    assert load(file, {"procedure": {"orders": 1}}).procedure == {"name": "scan", "orders": 1, "confirm": 5}
    assert load(file, {"procedure": {"name": "psi"}}).procedure == {"name": "psi"}


def test_a_study_file(tmp_path: Path, photos: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'images = ["photos"]\ndistortions = ["noise"]\nlimit = 2\n'
        '[procedure]\nname = "scan"\nconfirm = 1\n[[observers]]\nname = "simulated"\nthreshold = 4\n'
    )
    spec = load(file)
    assert spec.images == (str(tmp_path / "photos"),)
    assert load(file, {"limit": 1}).limit == 1
    progress = Study.plan(spec).run(tmp_path / "run")
    assert (progress.total, progress.done, progress.unfinished) == (2, 2, [])

    for text, complaint in (
        ('images = ["x"]\nobservers = ["simulated"]\ndistortion = ["blur"]', "Did you mean 'distortions'"),
        ('images = ["photos"]\nobservers = ["simulatd"]', "Did you mean 'simulated'"),
        ('images = ["photos"]\nobservers = ["simulated"]\ndistortions = ["blurr"]', "Did you mean 'blur'"),
        ('images = ["photos"]\nobservers = [{name = "simulated", treshold = 3}]', "Did you mean 'threshold'"),
        ('images = ["photos"]\nobservers = ["simulated"]\nprocedure = {name = "scan", gpa = 2}', "Did you mean 'gap'"),
        ('images = ["photos"]\nobservers = ["simulated", "simulated"]', "have one name"),
        ('images = ["nowhere"]\nobservers = ["simulated"]', "No file or folder"),
        ("images = [", "is not TOML"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=complaint):
            Study.plan(load(file))


@pytest.mark.parametrize(
    ("distortion", "needs"),
    [
        (("angle",), "views of a 3D scene"),
        (("spot",), "pairs that others made"),
        (("band2k",), "pairs with opinion scores"),
        (("blur", "distance"), "distance needs views of a 3D scene"),
    ],
)
def test_a_distortion_that_photographs_cannot_undergo_says_what_it_needs(
    distortion: tuple[str, ...], needs: str
) -> None:
    with pytest.raises(InputError, match="Nothing in demo can undergo") as refused:
        Study.plan(Spec(images=("demo",), observers=("simulated",), distortions=distortion))
    assert needs in str(refused.value)
