"""An observer that only repeats what a run has recorded."""

from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from limen import digest
from limen.errors import InputError
from limen.observer import Concurrency, Observer, Reply, observer
from limen.question import Query
from limen.store import Store, entries
from limen.trial import Attempt


class RecordedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the recorded observer.

    Attributes:
        of: which observer of the run to repeat; needed only where it has several.
        concurrency: series advanced side by side.
    """

    of: str = ""
    concurrency: Concurrency = 8


@observer("recorded", RecordedOptions)
class Recorded(Observer):
    """Repeats the answers of an earlier run (`recorded:RUN`); what was never asked there is a failure."""

    def __init__(self, model: str, options: RecordedOptions) -> None:
        if not model:
            raise InputError("Observer 'recorded' needs a run: recorded:runs/a")
        self._store = Store.open(Path(model))
        entries.check(self._store.path, self._store.manifest)
        observers = self._store.manifest["observers"]
        self.name = options.of or next(iter(observers), "")
        if self.name not in observers or (not options.of and len(observers) > 1):
            raise InputError(f"Which observer of {model}? Give of=NAME, one of: {', '.join(observers)}.")
        self.concurrency = options.concurrency
        self._fingerprint = observers[self.name]

    def fingerprint(self) -> dict[str, Any]:
        """Return the fingerprint of the observer that was recorded, so that keys agree."""
        return dict(self._fingerprint)

    async def answer(self, query: Query) -> Reply:
        """Return the recorded answer."""
        found = self._store.get(query.key(digest.of(self._fingerprint)))
        if found is None:
            return Reply(None, (Attempt("not-recorded", f"this pair was never put to {self.name}"),))
        return Reply(found, (Attempt("recorded"),))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()
