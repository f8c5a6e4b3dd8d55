"""A model that an endpoint does not know: the message names those it offers; a bare name is told what it may mean."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from limen import observer
from limen.errors import FatalObserverError, UnknownNameError
from limen.image import Picture
from limen.observers.openai import offered
from limen.question import Query
from tests.support.endpoint import Endpoint, status

UNKNOWN = status(404, "The model `qwen2.5-vl` does not exist", kind="model_not_found")


def refusal(server: Endpoint, queries: int = 1) -> str:
    async def ask() -> str:
        made = observer.make("openai:qwen2.5-vl", {"base_url": server.base_url})
        async with made:
            found = await asyncio.gather(*(made.answer(query()) for _ in range(queries)), return_exceptions=True)
        (first, *_) = found
        assert all(isinstance(one, FatalObserverError) for one in found)
        return str(first)

    return asyncio.run(ask())


def query() -> Query:
    one = Picture.of(np.zeros((40, 48, 3), np.uint8))
    return Query((one, "Is there any difference?", one))


def test_the_names_that_are_offered_stand_in_the_message_the_nearest_first_and_are_asked_for_once() -> None:
    with Endpoint(behaviour=UNKNOWN) as server:
        server.models = ("llama", "Qwen2.5-VL-7B", *(f"other-{n}" for n in range(9)))
        said = refusal(server, queries=3)
        assert server.looks == 1
    names = said.partition(" It offers ")[2]
    assert names.startswith("Qwen2.5-VL-7B, ")
    assert names.endswith(", and 3 more.")
    assert names.count(",") == offered.MOST


def test_a_server_that_lists_nothing_is_not_quoted() -> None:
    with Endpoint(behaviour=UNKNOWN) as server:
        said = refusal(server)
    assert "It offers" not in said
    assert "Check the model's name and base_url." in said


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[]", b"{}", b'{"data": 3}', b'{"data": [{"id": 3}, {"id": "\\n"}, {}]}']
)
def test_a_list_that_is_none(data: bytes) -> None:
    assert offered.read(data) == ()
    assert offered.sentence("a", offered.read(data)) == ""


def test_lists_in_other_forms() -> None:
    assert offered.read(b'{"models": [{"name": "a"}, {"name": "b"}]}') == ("a", "b")
    assert offered.read(b'["a"]') == ("a",)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gpt-4o", "Did you mean openai:gpt-4o?"),
        ("Qwen/Qwen2.5-VL-7B", "openai:Qwen/Qwen2.5-VL-7B (behind an endpoint, with --base-url) or local:Qwen/Qwen2.5"),
        ("simulatd", "Did you mean 'simulated'?"),
        ("opnai:gpt-4o", "Did you mean 'openai'?"),
    ],
)
def test_a_name_that_is_no_kind_is_told_what_it_may_mean(name: str, told: str) -> None:
    with pytest.raises(UnknownNameError) as refused:
        observer.make(name, {})
    assert told in str(refused.value)


def test_a_folder_is_told_to_be_local(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as refused:
        observer.make(str(tmp_path), {})
    assert f"local:{tmp_path} if it holds a checkpoint" in str(refused.value)
