"""An observer that keeps a record of its own is told of every trial: asked, replayed, and of two equal pictures."""

from pathlib import Path

from limen.observer import Follower
from limen.observers.simulated import Simulated, SimulatedOptions
from limen.store import Store
from limen.study import Spec, Study
from limen.trial import Trial


class Following(Simulated):
    """A simulated observer with a diary."""

    def __init__(self) -> None:
        super().__init__("", SimulatedOptions())
        self.told: list[Trial] = []

    def follow(self, trial: Trial) -> None:
        self.told.append(trial)


def followed(out: Path) -> list[Trial]:
    observer = Following()
    spec = Spec(
        ("demo",), ("simulated",), ("blur", "jpeg"), questions=("direct-implicit",), limit=2, exam=False, floor=False
    )
    Study.plan(spec, made=(observer,)).run(out)
    return observer.told


def of(trial: Trial) -> tuple[object, ...]:
    return (trial.series, trial.reference, trial.level, trial.again, trial.part, trial.key)


def test_every_trial_is_told_once(tmp_path: Path) -> None:
    assert isinstance(Following(), Follower)
    told = followed(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        kept = list(store.trials())
    assert sorted(map(of, told)) == sorted(map(of, kept))
    asked = [one for one in told if one.answer is None and one.key]
    assert len({one.key for one in asked}) == len(asked) < len(told)  # two distortions share a reference beside itself


def test_a_resumed_run_tells_what_it_holds(tmp_path: Path) -> None:
    first = followed(tmp_path / "run")
    again = followed(tmp_path / "run")
    assert {of(one) for one in again} == {of(one) for one in first}
    assert all(one.answer is not None or not one.key for one in again)
