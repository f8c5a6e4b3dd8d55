"""An observer that is not derived from `Observer` works as it is: what it does not say has the protocol's values."""

from types import TracebackType
from typing import Any, Self

from limen.observer import Observer, completed
from limen.question import Query
from limen.trial import Answer, Attempt


class Plain:
    """Of a package from before the protocol had values of its own."""

    name = "plain"
    concurrency = 1

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "plain"}

    async def answer(self, query: Query) -> Any:
        return Answer("<no> The same."), (Attempt("ok"),)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def test_what_an_observer_does_not_say_is_the_protocols() -> None:
    observer = completed(Plain())  # type: ignore[arg-type]
    assert isinstance(observer, Observer)
    assert (observer.sampled, observer.numeric, observer.label, observer.notice) == (False, False, "", "")


def test_what_it_says_stays() -> None:
    observer = Plain()
    observer.sampled, observer.notice = True, "It is slow."  # type: ignore[attr-defined]
    known = completed(observer)  # type: ignore[arg-type]
    assert (known.sampled, known.notice) == (True, "It is slow.")
