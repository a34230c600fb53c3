"""Hostile inputs: each case that concerns what there is holds, and every other one is listed with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtstore import Store
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import application
from tests.hostile.cases import BODIES, CASES, FAILS, LISTED, NOT_RUN, RAW
from tests.hostile.run import CHECKS, NOT_JUDGED, problems_of, run
from tests.http.calling import raw, serving

ROOT = Path(__file__).parents[2]
SENT = sorted(CASES.keys() - NOT_RUN.keys() - RAW.keys())
OVER_SOCKETS = sorted(RAW)
JUDGED_OVER_SOCKETS = frozenset({"status", "closes", "error_shape", "host_ignored", "order_kept"})


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make keys with the least scrypt there is."""
    monkeypatch.setattr(api_key, "SCRYPT_N", 2)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[tuple[str, int], str]]:
    """A server on a socket, and its key."""
    with Store.in_memory() as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_key, "SCRYPT_N", 2)
        keyring = KeyRing(store)
        key = keyring.create("full", Permission.full())
        with serving(application(store, keyring)) as address:
            yield address, key


def problems(name: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is wrong with a case."""
    return [problem for ran in run(CASES[name], caplog) for problem in problems_of(ran)]


@pytest.mark.parametrize("name", [name for name in SENT if name not in FAILS])
def test_a_case_holds(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert problems(name, caplog) == []


@pytest.mark.parametrize("name", sorted(FAILS))
def test_a_case_that_is_listed_as_failing_fails(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert problems(name, caplog), "it holds now: take it out of elsewhere.toml"


@pytest.mark.parametrize("name", OVER_SOCKETS)
def test_a_case_holds_over_a_socket(name: str, server: tuple[tuple[str, int], str]) -> None:
    address, key = server
    expect = CASES[name]["expect"]
    found = raw(address, RAW[name].replace(b"KEY", key.encode()))
    statuses = expect["status"] if isinstance(expect["status"], list) else [expect["status"]]
    # That the server ends the connection is what `raw` waits for.
    assert {answered.status for answered in found} <= set(statuses)
    assert len(found) == (100 if "order_kept" in expect else 1)
    assert raw(address, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")[0].status == 200


def test_every_case_is_run_or_listed() -> None:
    assert len(CASES) == len((Path(__file__).parent / "cases.jsonl").read_text(encoding="utf-8").splitlines())
    assert NOT_RUN.keys() | FAILS.keys() <= CASES.keys()
    assert not NOT_RUN.keys() & (RAW.keys() | FAILS.keys() | BODIES.keys())
    assert all(NOT_RUN.values())
    assert all(FAILS.values())
    assert set(SENT) | set(RAW) | set(NOT_RUN) == set(CASES)


def test_what_is_made_here_is_what_the_cases_name_in_words() -> None:
    assert {name for name in SENT if "body_gen" in CASES[name]} == BODIES.keys()
    assert {name for name in CASES if "raw" in CASES[name]} - NOT_RUN.keys() == RAW.keys()


def test_every_expectation_is_judged() -> None:
    keys = {key for name in SENT for key in CASES[name]["expect"]}
    assert keys <= CHECKS.keys() | NOT_JUDGED
    assert {key for name in RAW for key in CASES[name]["expect"]} <= JUDGED_OVER_SOCKETS | NOT_JUDGED


@pytest.mark.parametrize("place", sorted(set(LISTED["elsewhere"].values())))
def test_there_is_a_test_elsewhere(place: str) -> None:
    path, _, name = place.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["json-nan", "auth-none", "id-1025", "json-nul-in-string", "authz-ro-key-writes"])
def test_what_is_expected_decides(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A planted error: another status is expected, and the case fails."""
    spoiled = {**CASES[name], "expect": {**CASES[name]["expect"], "status": 299}}
    assert [problem for ran in run(spoiled, caplog) for problem in problems_of(ran)]
