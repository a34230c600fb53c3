"""Every route by every caller in every scope, against a table of what permissions mean; and planted leaks are seen."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from crdtstore.http.route import Route
from crdtstore.http.routes import ROUTES
from tests.http.calling import Answered
from tests.matrix.oracle import CALLERS, EVERYTHING, FILLED, MARK, MINE, NOWHERE, SOME, THEIRS, Held
from tests.matrix.requests import FOR_STRANGERS, LINES, OPEN, encode, line_of, routes
from tests.matrix.run import Matrix, callers_of, told

CASES_MIN = 5_000
SLOW_CASES = 1_000_000

EVERY = [pytest.param(route, method, id=f"{method} {route.path}") for route, method in routes()]


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    made = Matrix()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(("route", "method"), EVERY)
def test_nobody_gets_more_than_he_may(matrix: Matrix, route: Route, method: str) -> None:
    problems = list(matrix.problems(route, method))
    assert not problems, "\n".join(problems[:5])


def test_there_are_enough_cases(matrix: Matrix) -> None:
    """A run of all routes, counted: a table that shrinks is seen."""
    lines = ((route, line) for route, method in routes() if (line := line_of(route, method)))
    cases = sum(len(list(line())) * len(callers_of(route, CALLERS)) for route, line in lines)
    assert cases >= CASES_MIN
    assert len(CALLERS) == len({held.name for held in CALLERS})


def test_each_route_has_a_line_and_each_line_a_route() -> None:
    missing = [f"{method} {route.path}" for route, method in routes() if line_of(route, method) is None]
    used = {id(line_of(route, method)) for route, method in routes()}
    assert not missing, "say in requests.py what they need"
    assert {place for place, line in LINES.items() if id(line) not in used} == set()


def test_what_is_open_is_what_the_routes_say() -> None:
    assert {route.path for route in ROUTES if route.open} == OPEN
    assert {route.path for route in ROUTES if route.for_strangers} == FOR_STRANGERS


@pytest.mark.parametrize("path", sorted(FOR_STRANGERS))
def test_strangers_and_others_are_answered_alike(matrix: Matrix, path: str) -> None:
    form = b"appId=a&provider=p&token=t&siteId=1"
    request = ("POST", path, form, "application/x-www-form-urlencoded")
    answers = {told(matrix.ask(FILLED, held, request, writes=False), writes=False)[::2] for held in CALLERS}
    assert len(answers) == 1
    assert answers.pop()[0] in {400, 401}


@pytest.mark.parametrize("path", ["/api/v4/store/find", "/api/v5/store/find"])
def test_a_cursor_of_another_opens_nothing(matrix: Matrix, path: str) -> None:
    held = {each.name: each for each in CALLERS}

    def page(caller: str, collection: str, cursor: str | None) -> Answered:
        body = {"collection": collection, "query": "true", "limit": 1, "cursor": cursor}
        return matrix.ask(FILLED, held[caller], ("POST", path, encode(body), "application/json"), writes=False)

    hidden = page("everything", THEIRS, None).json["nextCursor"]
    mine = page("reads mine", MINE, None).json["nextCursor"]
    assert page("reads mine", MINE, mine).status == 200
    for caller, collection, cursor in (("reads mine", MINE, hidden), ("reads mine", THEIRS, hidden)):
        answered = page(caller, collection, cursor)
        assert answered.status == 400
        assert MARK.encode() not in answered.body


@pytest.mark.slow
def test_nobody_gets_more_than_he_may_whatever_he_was_given() -> None:
    """Callers with permissions by lot, until a million cases were judged."""
    random, cases = Random(9), 0
    while cases < SLOW_CASES:
        matrix = Matrix([*CALLERS[:1], *(drawn(random, number) for number in range(12)), CALLERS[-1]])
        try:
            for route, method in routes():
                assert not list(matrix.problems(route, method))
        finally:
            matrix.close()
        cases += matrix.cases


DRAWN = (MINE, SOME, THEIRS, NOWHERE)


def drawn(random: Random, number: int) -> Held:
    """A permission by lot."""
    read, write = (
        EVERYTHING if random.random() < 0.2 else frozenset(name for name in DRAWN if random.random() < 0.4)
        for _ in range(2)
    )
    return Held(f"drawn {number}", read, write, remote=random.random() < 0.5)
