"""Which server a series is asked at."""

from collections import Counter

from limen.scale.servers import SILENT, Servers

HOSTS = ("a:1", "b:1", "c:1", "d:1")


def begun(servers: Servers, *series: str) -> list[int]:
    places = []
    for one in series:
        at = servers.choose(one)
        assert at is not None
        servers.begin(at)
        places.append(at)
    return places


def test_new_series_go_to_the_least_busy_and_stay_there() -> None:
    servers = Servers(HOSTS, 16)
    names = [f"series {number}" for number in range(64)]
    first = begun(servers, *names)
    assert Counter(first) == dict.fromkeys(range(4), 16)
    for at in first:
        servers.end(at)
    servers.begin(0)
    assert begun(servers, *names) == first


def test_a_server_that_has_just_answered_does_not_get_all_that_begins() -> None:
    servers = Servers(("a", "b"), 16)
    first = begun(servers, *(f"old {number}" for number in range(32)))
    for at in first:
        if at == 0:
            servers.end(at)  # a batch: its series are about to ask again
    assert Counter(begun(servers, *(f"new {number}" for number in range(8))))[0] <= 5


def test_names_decide_between_equally_busy_servers() -> None:
    names = [f"series {number}" for number in range(40)]
    chosen = [Servers(HOSTS).choose(name) for name in names]
    assert chosen == [Servers(HOSTS).choose(name) for name in names]
    assert set(chosen) == {0, 1, 2, 3}
    turned = [Servers(HOSTS[::-1]).choose(name) for name in names]
    assert [HOSTS[at or 0] for at in chosen] == [HOSTS[::-1][at or 0] for at in turned]


def test_one_that_bears_less_is_given_less() -> None:
    servers = Servers(("a", "b"), 16)
    servers.servers[0].allowed = 4
    assert Counter(begun(servers, *map(str, range(40)))) == {0: 8, 1: 32}


def test_the_series_of_one_that_is_away_move_and_stay_where_they_are() -> None:
    servers = Servers(("a", "b"), 16)
    first = servers.choose("one")
    assert first is not None
    servers.leave(first)
    assert servers.choose("one") == 1 - first
    servers.back(first)
    servers.begin(1 - first)
    assert servers.choose("one") == 1 - first
    assert servers.choose("another") == first


def test_one_that_is_back_gets_one_question_at_a_time_until_it_has_answered() -> None:
    servers = Servers(("a", "b"))
    servers.leave(0)
    begun(servers, "1", "2", "3")
    servers.back(0)
    assert begun(servers, "4", "5", "6") == [0, 1, 1]
    servers.end(0)
    servers.answered(0)
    assert begun(servers, "7", "8") == [0, 0]


def test_nobody_there_and_nobody_else_there() -> None:
    servers = Servers(("a", "b"))
    assert servers.choose("", avoided=[0]) == 1
    servers.leave(1)
    assert servers.choose("", avoided=[0]) == 0
    servers.servers[0].gone = True
    assert servers.choose("") is None
    assert servers.used == ()


def test_so_many_questions_in_a_row_without_an_answer_are_a_reason() -> None:
    servers = Servers(("a", "b"))
    assert [servers.unanswered(0) for _ in range(SILENT - 1)] == [False] * (SILENT - 1)
    servers.answered(0)
    assert [servers.unanswered(0) for _ in range(SILENT)] == [False] * (SILENT - 1) + [True]


def test_one_that_refuses_gets_a_single_question_of_a_series_that_stays_until_it_has_answered() -> None:
    servers = Servers(("a", "b"), 2)
    home = servers.choose("one")
    assert home is not None
    other = 1 - home
    servers.leave(other, refuses=True)
    assert begun(servers, "one") == [home]
    servers.back(other)
    assert begun(servers, "one", "one", "one") == [other, home, home]
    servers.end(other)
    assert servers.unanswered(other)  # one is enough for one on trial
    servers.leave(other)
    servers.leave(home)
    servers.back(other)
    assert begun(servers, "one") == [other]
    assert servers.choose("two") is None  # nobody has answered yet
    servers.answered(other)
    assert servers.choose("two") == other


def test_one_that_joins_late_takes_series_over_from_one_that_is_full() -> None:
    servers = Servers(("a", "b"), 2)
    servers.leave(1)
    assert begun(servers, "one", "two", "three") == [0, 0, 0]
    servers.back(1)
    servers.answered(1)
    assert servers.choose("one") == 1  # "a" has three, and bears two
    servers.end(0)
    servers.end(0)
    assert servers.choose("two") == 0  # it has room again: the series stays
    assert servers.choose("one") == 1
