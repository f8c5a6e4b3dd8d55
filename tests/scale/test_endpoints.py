"""Which server a series is asked at."""

from collections import Counter

from limen.scale.endpoints import SILENT, Endpoints

HOSTS = ("a:1", "b:1", "c:1", "d:1")


def begun(endpoints: Endpoints, *series: str) -> list[int]:
    places = []
    for one in series:
        at = endpoints.choose(one)
        assert at is not None
        endpoints.begin(at)
        places.append(at)
    return places


def test_new_series_go_to_the_least_busy_and_stay_there() -> None:
    endpoints = Endpoints(HOSTS, 16)
    names = [f"series {number}" for number in range(64)]
    first = begun(endpoints, *names)
    assert Counter(first) == dict.fromkeys(range(4), 16)
    for at in first:
        endpoints.end(at)
    endpoints.begin(0)
    assert begun(endpoints, *names) == first


def test_a_server_that_has_just_answered_does_not_get_all_that_begins() -> None:
    endpoints = Endpoints(("a", "b"), 16)
    first = begun(endpoints, *(f"old {number}" for number in range(32)))
    for at in first:
        if at == 0:
            endpoints.end(at)  # a batch: its series are about to ask again
    assert Counter(begun(endpoints, *(f"new {number}" for number in range(8))))[0] <= 5


def test_names_decide_between_equally_busy_servers() -> None:
    names = [f"series {number}" for number in range(40)]
    chosen = [Endpoints(HOSTS).choose(name) for name in names]
    assert chosen == [Endpoints(HOSTS).choose(name) for name in names]
    assert set(chosen) == {0, 1, 2, 3}
    turned = [Endpoints(HOSTS[::-1]).choose(name) for name in names]
    assert [HOSTS[at or 0] for at in chosen] == [HOSTS[::-1][at or 0] for at in turned]


def test_one_that_bears_less_is_given_less() -> None:
    endpoints = Endpoints(("a", "b"), 16)
    endpoints.servers[0].allowed = 4
    assert Counter(begun(endpoints, *map(str, range(40)))) == {0: 8, 1: 32}


def test_the_series_of_one_that_is_away_move_and_stay_where_they_are() -> None:
    endpoints = Endpoints(("a", "b"))
    first = endpoints.choose("one")
    assert first is not None
    endpoints.leave(first)
    assert endpoints.choose("one") == 1 - first
    endpoints.back(first)
    endpoints.begin(1 - first)
    assert endpoints.choose("one") == 1 - first
    assert endpoints.choose("another") == first


def test_one_that_is_back_gets_one_question_at_a_time_until_it_has_answered() -> None:
    endpoints = Endpoints(("a", "b"))
    endpoints.leave(0)
    begun(endpoints, "1", "2", "3")
    endpoints.back(0)
    assert begun(endpoints, "4", "5", "6") == [0, 1, 1]
    endpoints.end(0)
    endpoints.answered(0)
    assert begun(endpoints, "7", "8") == [0, 0]


def test_nobody_there_and_nobody_else_there() -> None:
    endpoints = Endpoints(("a", "b"))
    assert endpoints.choose("", avoided=[0]) == 1
    endpoints.leave(1)
    assert endpoints.choose("", avoided=[0]) == 0
    endpoints.servers[0].gone = True
    assert endpoints.choose("") is None
    assert endpoints.used == ()


def test_so_many_questions_in_a_row_without_an_answer_are_a_reason() -> None:
    endpoints = Endpoints(("a", "b"))
    assert [endpoints.unanswered(0) for _ in range(SILENT - 1)] == [False] * (SILENT - 1)
    endpoints.answered(0)
    assert [endpoints.unanswered(0) for _ in range(SILENT)] == [False] * (SILENT - 1) + [True]
