"""Every number that can be set has a bound on either side, and what lies outside is refused in one sentence."""

from collections.abc import Iterator
from typing import Any

import click
import msgspec
import pytest
from msgspec import inspect

from limen import registry
from limen.cli import main, run
from limen.errors import InputError
from limen.study import Spec

Numeric = inspect.IntType | inspect.FloatType


def structs() -> dict[str, type[msgspec.Struct]]:
    """All settings structs but those of the feature wing, which load torch."""
    found: dict[str, type[msgspec.Struct]] = {"Spec": Spec}
    found |= {f"procedure {name}": kind for name, kind in registry.every("procedure").items()}
    return found | {
        f"observer {name}": kind.options
        for name, kind in registry.every("observer").items()
        if kind.options.__module__.startswith("limen.")
    }


def numbers(kind: inspect.Type) -> Iterator[Numeric]:
    """Yield the numbers in what a field may be."""
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        yield kind
    for inner in (*getattr(kind, "types", ()), *filter(None, [getattr(kind, "item_type", None)])):
        yield from numbers(inner)


def fields(kind: type[msgspec.Struct]) -> Iterator[tuple[str, Numeric]]:
    about = inspect.type_info(kind)
    assert isinstance(about, inspect.StructType)
    for field in about.fields:
        yield from ((field.name, number) for number in numbers(field.type))


NUMBERS = [(owner, kind, name, number) for owner, kind in structs().items() for name, number in fields(kind)]


def unbounded(kind: type[msgspec.Struct]) -> set[str]:
    ends = {name: ((n.ge, n.gt), (n.le, n.lt)) for name, n in fields(kind)}
    return {name for name, both in ends.items() if any(end == (None, None) for end in both)}


@pytest.mark.parametrize(("owner", "kind"), structs().items(), ids=structs())
def test_every_number_has_two_bounds(owner: str, kind: type[msgspec.Struct]) -> None:
    assert not unbounded(kind)


def test_numbers_of_the_feature_wing_too() -> None:
    pytest.importorskip("torch")
    kinds = [tolerance.Settings for tolerance in registry.every("tolerance").values()]
    assert {name for kind in kinds for name in unbounded(kind)} == set()


@pytest.mark.parametrize("given", ["nan", "inf", "-inf", "1e400", "1e19", "9" * 30, "9" * 5000, "-" + "9" * 30, "many"])
def test_what_no_number_can_be_is_refused_in_a_sentence(given: str) -> None:
    for owner, kind, name, _ in NUMBERS:
        needed = {"images": ["demo"], "observers": ["demo"]} if kind is Spec else {}
        with pytest.raises(InputError) as refused:
            registry.settings(owner, needed | {name: given}, kind)
        said = str(refused.value)
        assert said.startswith((f"{owner}: {name} cannot be ", f"{owner}: {name}[0] cannot be "))
        assert "Give a" in said
        assert "\n" not in said
        assert len(said) < 300


def test_the_sentence_says_what_would_be_right() -> None:
    def said(given: Any, kind: type[msgspec.Struct], name: str, **needed: Any) -> str:
        with pytest.raises(InputError) as refused:
            registry.settings("x", needed | {name: given}, kind)
        return str(refused.value)

    class Loose(msgspec.Struct):
        """A plug-in's settings without bounds."""

        share: float = 0.0
        kind: str | None = None
        flag: bool = False

    class Strict(msgspec.Struct):
        must: int

    psi = registry.find("procedure", "psi")
    assert said(0, psi, "trials") == "x: trials cannot be '0'. Give a whole number from 1 to 1,000."
    assert said("a", psi, "sd").endswith("Give a number from 0 to 1,000.")
    assert said("inf", Loose, "share") == "x: share cannot be 'inf'. Give a number."
    assert said("perhaps", Loose, "flag") == "x: flag cannot be 'perhaps'. Give true or false."
    assert said(["a"], Loose, "kind").endswith("Give a text.")
    assert said("up", Spec, "order", images=["demo"], observers=["demo"]).endswith("balanced, ref-question-test.")
    with pytest.raises(InputError, match="x needs must, which was not given"):
        registry.settings("x", {}, Strict)


@pytest.mark.parametrize(
    ("text", "number"),
    [(".5", 0.5), ("-.5", -0.5), ("+.5e1", 5.0), ("5.", 5.0), (" 1 ", 1.0), ("0.5", 0.5), ("1e-3", 0.001)],
)
def test_numbers_are_read_as_people_write_them(text: str, number: float) -> None:
    class Settings(msgspec.Struct):
        share: float | None = None
        levels: tuple[float, ...] = ()
        label: str = ""

    given = {"share": text, "levels": f"{text},2", "label": text}
    made = registry.settings("x", given, Settings)
    assert (made.share, made.levels, made.label) == (number, (number, 2.0), text)


@pytest.mark.parametrize("text", [".", "+", "-", "", "1.2.3", "+-1", ".e5", "1_0", "five"])
def test_what_is_no_number_is_refused(text: str) -> None:
    class Settings(msgspec.Struct):
        share: float = 0.0

    with pytest.raises(InputError, match="share cannot be"):
        registry.settings("x", {"share": text}, Settings)


def options(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Parameter]]:
    if isinstance(command, click.Group):
        for child, inner in command.commands.items():
            yield from options(inner, f"{name} {child}".strip())
    else:
        yield from ((name, parameter) for parameter in command.params)


def test_numbers_of_the_command_line_have_two_bounds_or_go_to_a_struct() -> None:
    for command, option in options(main):
        if command in ("measure", "batch write"):  # its numbers are entries of Spec and of procedures
            continue
        assert option.type not in (click.INT, click.FLOAT), (command, option.name)
        if isinstance(option.type, click.IntRange | click.FloatRange):
            assert None not in (option.type.min, option.type.max), (command, option.name)


@pytest.mark.parametrize(
    "words",
    [
        "measure --wait-for-server nan --out x",
        "power --sd nan",
        "power --sd 1 --half-width nan",
        "simulate --mean nan --slope 1",
    ],
)
def test_nan_is_no_number_of_the_command_line(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words.split()) == 1
    assert "'nan' is not a number" in capsys.readouterr().err


def test_a_mistake_leaves_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = "measure --images demo --observer simulated --out never --confirm"
    assert run([*words.split(), "1000000000"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "from 0 to 1,000" in err


def test_an_observer_that_wants_too_much_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from limen.observers.simulated import Simulated
    from limen.study import Study

    made = Simulated.__init__

    def greedy(self: Simulated, model: str, given: Any) -> None:
        made(self, model, given)
        self.concurrency = 10**19

    monkeypatch.setattr(Simulated, "__init__", greedy)
    with pytest.raises(InputError, match="Give 1 to 4096"):
        Study.plan(Spec(images=("demo",), observers=("simulated",)))


@pytest.mark.parametrize(
    "words", [["fit", "\ud800"], ["show", "\ud800"], ["report", "\udcff", "\ud800"], ["fit", "\0"]]
)
def test_half_of_a_character_is_told_in_a_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(InputError, match="half of a character"):
        registry.settings("x", {"confirm": "\ud800"}, registry.find("procedure", "skip"))
