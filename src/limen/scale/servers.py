"""Which of several servers of one model is asked: the least busy for a new series, which then stays there.

A series stays because its questions begin with the same picture, of which a server keeps what it has worked out (a
prefix cache). It moves, and stays where it is then, when its server is away, or has its hands full while another has
not: one that joins late would else stand idle. Nothing here sends anything: `limen.observers.openai.several` does to
endpoints, `limen.scale.replicas` to processes of a cluster.
"""

import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from limen import digest

KEPT = 100_000  # series whose server is remembered; of more, those that were asked for least lately are forgotten
SILENT = 3  # questions in a row that a server leaves without an answer, after which it is left alone


@dataclass(slots=True)
class Server:
    """One of the servers, as far as choosing is concerned.

    Attributes:
        name: as a person knows it.
        outstanding: questions that it has been given and not answered yet.
        series: that are under way there, one between two questions too.
        allowed: requests that it may have in flight, >= 1.
        away_since: when it was found to be away, by `time.monotonic`; None while it is used.
        gone: whether it is out of use for good.
        flaps: how often it was left alone since its last answer.
        refuses: whether it was there and left questions without an answer: it is back when it has answered one.
        silent: questions in a row that it left without an answer.
    """

    name: str
    outstanding: int = 0
    series: int = 0
    allowed: int = 1
    away_since: float | None = None
    gone: bool = False
    flaps: int = 0
    refuses: bool = False
    silent: int = 0

    @property
    def used(self) -> bool:
        """Whether it is asked."""
        return self.away_since is None and not self.gone

    @property
    def on_trial(self) -> bool:
        """Whether it is back and has not answered since, so that one question at a time is enough for it."""
        return self.flaps > 0 and self.outstanding > 0


class Servers:
    """The servers of one model, and where each series is asked.

    Args:
        names: of the servers, no two alike.
        allowed: requests that each may have in flight at first. So many series as all of them may have in flight are
            taken to be under way, those that were asked for last.

    Attributes:
        servers: in the order of `names`.

    Examples:
        >>> from limen.scale.servers import Servers
        >>> two = Servers(("a:8000", "b:8000"))
        >>> first = two.choose("a series")
        >>> two.begin(first)
        >>> two.choose("another series") == first
        False
        >>> two.choose("a series") == first
        True
    """

    def __init__(self, names: Sequence[str], allowed: int = 1) -> None:
        self.servers = tuple(Server(name, allowed=allowed) for name in names)
        self._homes: OrderedDict[str, int] = OrderedDict()
        self._under_way: OrderedDict[str, int] = OrderedDict()
        self._abreast = len(names) * allowed

    @property
    def used(self) -> tuple[int, ...]:
        """The numbers of the servers that are asked."""
        return tuple(at for at, server in enumerate(self.servers) if server.used)

    @property
    def free(self) -> tuple[int, ...]:
        """The numbers of those that may be given a question now: one that refuses has one at a time."""
        return tuple(at for at in self.used if not (self.servers[at].refuses and self.servers[at].on_trial))

    def choose(self, series: str, avoided: Collection[int] = ()) -> int | None:
        """Return the number of the server to ask, None where none is free.

        Args:
            series: that the question belongs to; "" for none, which stays nowhere.
            avoided: numbers of servers to ask only if no other is there.
        """
        there = [at for at in self.free if at not in avoided] or list(self.free)
        there = [at for at in there if not self.servers[at].on_trial] or there
        if not there:
            return None
        if trial := [at for at in there if self.servers[at].refuses]:
            return trial[0]  # this question alone: its series stays where it is
        home = self._homes.get(series)
        if home is None or home not in there or (self._is_full(home) and not all(map(self._is_full, there))):
            home = min(there, key=lambda at: (self._load(at), self._rank(at, series)))
        if series:
            self._homes[series] = home
            self._homes.move_to_end(series)
            if len(self._homes) > KEPT:
                self._homes.popitem(last=False)
            self._note(series, home)
        return home

    def _note(self, series: str, home: int) -> None:
        """Count a series as under way, and the one that was asked for least lately no more, where that is one more."""
        before = self._under_way.pop(series, None)
        if before is None and len(self._under_way) >= self._abreast:
            _, before = self._under_way.popitem(last=False)
        if before is not None:
            self.servers[before].series -= 1
        self._under_way[series] = home
        self.servers[home].series += 1

    def begin(self, at: int) -> None:
        """Note that a server was given a question."""
        self.servers[at].outstanding += 1

    def end(self, at: int) -> None:
        """Note that it has it no longer, answered or not."""
        self.servers[at].outstanding -= 1

    def answered(self, at: int) -> None:
        """Note that a server has answered."""
        server = self.servers[at]
        server.silent, server.flaps, server.refuses = 0, 0, False

    def unanswered(self, at: int) -> bool:
        """Note that a question stayed without an answer, and say whether the server should be left alone for that."""
        server = self.servers[at]
        server.silent += 1
        return server.used and (server.silent >= SILENT or server.flaps > 0)

    def leave(self, at: int, refuses: bool = False) -> None:
        """Leave a server alone from now on.

        Args:
            at: its number.
            refuses: whether it is there, and leaves questions without an answer.
        """
        server = self.servers[at]
        server.away_since = time.monotonic()
        server.refuses = refuses or server.flaps > 0  # one that was back and did not answer was not away
        server.flaps, server.silent = server.flaps + 1, 0

    def back(self, at: int) -> float:
        """Use a server again, and return how many seconds it was left alone."""
        since, self.servers[at].away_since = self.servers[at].away_since, None
        return 0.0 if since is None else time.monotonic() - since

    def _is_full(self, at: int) -> bool:
        return self.servers[at].outstanding >= self.servers[at].allowed

    def _load(self, at: int) -> float:
        """Return how busy a server is, by what it bears.

        Outstanding questions alone would send all that begins in a moment to a server that has just answered: series
        that are about to ask again count, too.
        """
        server = self.servers[at]
        return (max(server.outstanding, server.series) + 1) / server.allowed

    def _rank(self, at: int, series: str) -> int:
        """Return what decides between equally busy ones: the highest random weight (Thaler and Ravishankar 1998)."""
        return digest.seed("endpoint", self.servers[at].name, series)
