"""What is wrong with what was given is told in sentences of ours: where, what was given, what would be right."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from limen import registry, validation
from limen.errors import InputError
from limen.study import Spec
from tests.test_bounds import structs

OURS = ("Expected `", "got `", "Object ", "Invalid ", "`$", "Length", "msgspec")
WRONG: tuple[Any, ...] = ("a.png", 3, -(10**30), 2.5, True, None, [], ["a", [3]], {"a": {"b": [1]}}, {3: 4}, "\x1b[31m")


def complaints() -> Iterator[tuple[str, Any, str]]:
    for owner, kind in structs().items():
        needed = {"images": ["demo"], "observers": ["demo"]} if kind is Spec else {}
        for field in kind.__struct_fields__:
            for wrong in WRONG:
                try:
                    registry.settings(owner, needed | {field: wrong}, kind)
                except InputError as error:
                    yield f"{owner}: {field}", wrong, str(error)


def test_nothing_of_msgspecs_words_reaches_a_person_whatever_is_set_to_whatever() -> None:
    said = list(complaints())
    assert len(said) > 200
    for place, wrong, line in said:
        assert line.startswith(place), (wrong, line)
        assert not any(word in line for word in OURS), line
        assert ". Give " in line, line
        assert "\n" not in line
        assert len(line) < 400


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"images": "a.png"}, "x: images is a text: 'a.png'. Give a list: ['a.png']."),
        ({"images": ["a", 3]}, "x: images[1] cannot be '3'. Give a text."),
        ({"limit": "many"}, "x: limit cannot be 'many'. Give a whole number from 0 to 1,000,000,000."),
        ({"ladders": {"jpeg": [1.0], "blur": "x"}}, "x: ladders.blur"),
        ({"ladders": {3: [1.0]}}, "x: ladders has a key that is no text, in '{3: [1.0]}'. Give texts as its keys."),
        ({"order": "up"}, "x: order cannot be 'up'. Give one of "),
    ],
)
def test_the_sentences(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as refused:
        registry.settings("x", {"images": ["demo"], "observers": ["demo"]} | given, Spec)
    assert str(refused.value).startswith(told)


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """A table within a table."""

    name: str
    sizes: tuple[int, int] = (1, 2)


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    """Settings with tables in them."""

    rows: list[Inner] = []
    one: Inner | None = None
    short: tuple[str, ...] = ()


Some = msgspec.Meta(min_length=1, max_length=2)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"rows": [{"name": "a"}, {}]}, "rows[1].name was not given. Give a text."),
        ({"rows": [{"name": "a", "siz": 3}]}, "rows[0] has no entry 'siz'. Did you mean 'sizes'? Known: name, sizes."),
        ({"one": {"name": "a", "sizes": [1]}}, "one.sizes cannot be '[1]'. Give a list of 2: a whole number, a whole"),
        ({"one": {"nam": "a"}}, "one"),
        ({"one": 3}, "one cannot be '3'. Give a table of keys and values."),
    ],
)
def test_a_place_deep_inside_is_named(given: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(given, Outer)
    line = str(validation.fault(refused.value, given, Outer))
    assert line.startswith(told)
    assert not any(word in line for word in OURS)


def test_lengths_are_told() -> None:
    from typing import Annotated

    class Short(msgspec.Struct):
        """A list of one or two."""

        names: Annotated[tuple[str, ...], Some] = ("a",)
        word: Annotated[str, msgspec.Meta(max_length=3)] = ""

    with pytest.raises(InputError, match=r"names cannot be '\[\]'. Give a list of 1 to 2 entries, each of it a text"):
        registry.settings("x", {"names": []}, Short)
    with pytest.raises(InputError, match="word cannot be 'long'. Give a text of at most 3 characters"):
        registry.settings("x", {"word": "long"}, Short)


def test_a_text_with_commas_is_a_list_of_numbers_and_of_texts_where_it_comes_from_a_command_line() -> None:
    class Listed(msgspec.Struct):
        """Lists of two kinds."""

        levels: tuple[int, ...] = ()
        perhaps: list[float] | None = None
        names: tuple[str, ...] = ()

    made = registry.settings("x", {"levels": "1,2, 3", "perhaps": "0.5,1", "names": "a, b"}, Listed, commas=True)
    assert (made.levels, made.perhaps, made.names) == ((1, 2, 3), [0.5, 1.0], ("a", "b"))
    with pytest.raises(InputError, match="names is a text: 'a, b'. Give a list"):
        registry.settings("x", {"names": "a, b"}, Listed)
