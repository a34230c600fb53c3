"""Whatever call of a route fails, and however: a typed error, nothing lost, nothing there in part.

Rules: each route is enumerated call by call, for each kind of fault.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.running import run

pytestmark = pytest.mark.crash

CALLS_MIN = {
    "create": 20,
    "open": 6,
    "write": 4,
    "group": 4,
    "put": 12,
    "collect": 5,
    "close": 0,
    "backup": 8,
    "compact": 8,
    "wal-create": 30,
    "wal-open": 12,
    "wal-recover": 20,
    "wal-write": 4,
    "wal-group": 6,
    "wal-close": 8,
}
"""So many calls each route makes at least: fewer would mean that the shim does not see them."""

COMMITS = {"put": 2}
"""How many commits a route makes, where it is not one."""

LONG = {"create", "put", "backup", "compact", "collect", "wal-create", "wal-open", "wal-recover", "wal-group"}
"""Routes that start processes, or write nothing that is waited for: they take long, so they are on demand."""


@pytest.mark.parametrize(
    "route", [pytest.param(each, marks=pytest.mark.slow if each in LONG else ()) for each in CALLS_MIN]
)
def test_a_route_survives_the_failure_of_each_call(tmp_path: Path, variables: dict[str, str], route: str) -> None:
    seen = run("io_errors", tmp_path, route, "", environment=variables)
    for fault in seen:
        assert seen[fault]["found"] == [], fault
        assert seen[fault]["calls"] >= CALLS_MIN[route], fault
        # The last call of a commit writes the meta page: what follows its failure is refused.
        assert seen[fault]["outcomes"].get("read: store-fenced", 0) <= COMMITS.get(route, 1), fault


@pytest.mark.slow
@pytest.mark.parametrize("route", CALLS_MIN)
def test_so_does_the_plain_core(tmp_path: Path, variables: dict[str, str], route: str) -> None:
    seen = run("io_errors", tmp_path, route, "", environment={**variables, "CRDTSTORE_CORE": "plain"})
    assert [seen[fault]["found"] for fault in seen] == [[] for _ in seen]


@pytest.mark.parametrize("route", ["write", "group"])
def test_an_engine_that_ignores_errors_is_noticed(tmp_path: Path, variables: dict[str, str], route: str) -> None:
    seen = run("io_errors", tmp_path, route, "commit_errors_ignored", environment=variables)
    assert "was acknowledged, and" in seen["eio"]["found"][0]
    assert seen["enospc"]["found"]
