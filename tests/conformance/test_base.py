"""A server that is given by its address and holds documents already answers the cases as an empty one of ours does.

Rules: the server is the same for all cases, and nothing is removed between them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import application
from tests.conformance import run
from tests.conformance.case import FOLDER, Case, read_cases
from tests.conformance.check import problems_of
from tests.conformance.own import logins
from tests.conformance.run import known_failures, main
from tests.conformance.target import MakeTarget, Renaming, collections_of, remote_target
from tests.http.calling import serving

OURS = {"ENGINE", "INTERNAL"}
"""What is asked of no server, or only of one that is made to."""

CASES = {case.name: case for case in read_cases(FOLDER / "store.jsonl") if case.request["method"] not in OURS}
KEYLESS = [name for name, case in CASES.items() if not any("create_key" in step for step in case.setup)]
"""Cases that make no keys: nobody can from outside."""


@pytest.fixture(scope="module")
def given(quick_scrypt: None) -> Iterator[tuple[str, str]]:
    """The address of a server, each of whose collections holds documents, and a key."""
    with Store.in_memory() as store, logins() as login:
        for name in frozenset[str]().union(*map(collections_of, CASES.values())):
            store.write([Upsert(name, {"a": 1, "name": "x", "price": n}, id=n) for n in range(3)])
        keyring = KeyRing(store)
        key = keyring.create("conformance", Permission.full())
        with serving(application(store, keyring, tokens=login.tokens, login=login)) as (host, port):
            yield f"http://{host}:{port}", key


@pytest.fixture(scope="module")
def make_remote(given: tuple[str, str]) -> MakeTarget:
    return remote_target(*given)


@pytest.mark.parametrize("name", sorted(set(KEYLESS) - set(known_failures("store"))))
def test_a_case_holds_beside_other_documents(name: str, make_remote: MakeTarget) -> None:
    with make_remote(CASES[name]) as target:
        assert problems_of(CASES[name], target) == []


def test_without_other_names_the_documents_there_are_in_the_way(given: tuple[str, str]) -> None:
    """A planted error: what the names are for."""
    case = CASES["v3_find_limit_offset"]
    target = Renaming(*given, frozenset())
    assert problems_of(case, target)
    target.close()


def case_of(request: dict[str, object]) -> Case:
    """A case that only asks."""
    return Case("any", "v4", (), {"method": "POST", "path": "/api/v4/store/execute", **request}, {})


def test_names_are_found_and_changed_wherever_they_stand() -> None:
    statement = "SELECT * FROM cars AS cars JOIN COLLECTION owners ON cars.by = owners._id"
    case = case_of(
        {"body": {"statement": statement, "collection": "boats"}, "path": "/api/v1/collections/ships/documents"}
    )
    assert collections_of(case) == {"cars", "owners", "boats", "ships"}
    target = Renaming("http://localhost:1", "key", collections_of(case))
    cars, owners, boats, ships = (target.names[name] for name in ("cars", "owners", "boats", "ships"))
    assert target.rename(case.request) == {
        "method": "POST",
        "path": f"/api/v1/collections/{ships}/documents",
        "body": {
            "statement": f"SELECT * FROM {cars} AS cars JOIN COLLECTION {owners} ON cars.by = owners._id",
            "collection": boats,
        },
    }


def test_what_is_about_a_series_names_it_as_it_is_named() -> None:
    told = {"collection": "__timeseries", "id": "ticks", "value": {"default_ttl_seconds": 5}}
    case = case_of({"path": "/api/v1/timeseries/ticks/events", "body": {"commands": [told]}})
    assert collections_of(case) == {"ticks"}
    target = Renaming("http://localhost:1", "key", collections_of(case))
    [renamed] = target.rename(case.request)["body"]["commands"]
    assert renamed == {**told, "id": target.names["ticks"]}


def test_the_command_runs_against_an_address(
    given: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, key = given
    file = tmp_path / "key"
    file.write_text(key + "\n")
    assert main(["--base", base, "--key-file", str(file), "--only", "^v4_count|^v4_describe_index"]) == 0
    told = capsys.readouterr().out
    assert "1 failed, 1 as known" in told
    assert "FAILED v4 v4_describe_index_scan (known: " in told


def test_the_command_runs_on_a_server_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--serve", "--json", "--only", "^v4_count"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows
    assert all(row["passed"] and row["known"] is None for row in rows)


def test_a_failure_that_is_not_known_is_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A planted error: a case that nobody can pass."""
    row = {"name": "planted", "api": "v4", "request": {"method": "GET", "path": "/"}, "expect": {"status": 299}}
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(row))
    assert main(["--serve", str(file)]) == 1
    assert "FAILED v4 planted\n    status 299 was expected" in capsys.readouterr().out
    assert main(["--serve", str(file), "--json"]) == 1


def test_a_known_failure_that_passes_is_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A planted error: a list that is too long."""
    monkeypatch.setattr(run, "known_failures", lambda family: {"v4_count": f"{family} is not there"})
    assert main(["--serve", "--only", "^v4_count$"]) == 1
    assert "PASSED v4 v4_count, which was known to fail: store is not there" in capsys.readouterr().out
