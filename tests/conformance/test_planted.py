"""The runner tells what is wrong with a server: faults are planted in what one hears and says, and cases must fail.

Rules: each fault is one that a change to the server could make. The cases that must tell it pass without it, as
`test_store.py` shows.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import pytest

from tests.conformance.case import FOLDER, read_cases
from tests.conformance.check import problems_of
from tests.conformance.run import known_failures
from tests.conformance.target import Answer, MakeTarget, Target, remote_target

CASES = {case.name: case for case in read_cases(FOLDER / "store.jsonl")}

Hearing = Callable[[dict[str, Any]], dict[str, Any]]
Saying = Callable[[Answer], Answer]


class Fault(NamedTuple):
    """What becomes of a request or of its answer, and cases that tell."""

    cases: tuple[str, ...]
    hears: Hearing = dict
    says: Saying = Answer._make


class Faulty:
    """A server with a fault."""

    def __init__(self, target: Target, fault: Fault) -> None:
        self.target = target
        self.fault = fault
        self.variables = target.variables

    def send(self, step: Mapping[str, Any]) -> Answer:
        """Send what is heard of a request, and give what is said of its answer."""
        return self.fault.says(self.target.send(self.fault.hears(dict(step))))

    def create_key(self, asked: Mapping[str, Any]) -> str | None:
        """Make a key."""
        return self.target.create_key(asked)

    def follow(self) -> AbstractContextManager[Iterator[bytes]]:
        """Follow the feed."""
        return self.target.follow()

    def lagging(self) -> AbstractContextManager[object]:
        """Make it lag."""
        return self.target.lagging()


def saying(change: Callable[[dict[str, Any]], None]) -> Saying:
    """Change the body of each answer that is an object."""

    def says(answer: Answer) -> Answer:
        body = answer.json
        if not isinstance(body, dict):
            return answer
        change(body)
        return answer._replace(body=json.dumps(body).encode())

    return says


def hearing(change: Callable[[dict[str, Any]], None]) -> Hearing:
    """Change the body of each request that has one."""

    def hears(step: dict[str, Any]) -> dict[str, Any]:
        body = dict(step.get("body", {}))
        change(body)
        return {**step, "body": body} if body else step

    return hears


def deaf_to(header: str) -> Hearing:
    """Do not hear a header."""
    return lambda step: {**step, "headers": {name: value for name, value in step["headers"].items() if name != header}}


def first_transaction(body: dict[str, Any]) -> None:
    """Say of every result that it was transaction 1."""
    for result in body.get("results", ()):
        result["transactionId"] = 1


def one_less(body: dict[str, Any]) -> None:
    """Leave the last document out."""
    body.update({key: body[key][:-1] for key in ("documents", "items") if key in body})


def backwards(body: dict[str, Any]) -> None:
    """Turn the documents round."""
    body.update({key: body[key][::-1] for key in ("documents", "items") if key in body})


def found_anew(status: int) -> Saying:
    """Answer errors with one status."""
    return lambda answer: answer if answer.status < 400 else answer._replace(status=status)


FAULTS = {
    "a find leaves the last document out": Fault(
        ("v3_find_basic", "legacy_or", "v4_default_limit_1000", "dql_like"), says=saying(one_less)
    ),
    "documents come in the order of nothing": Fault(("legacy_neq", "dql5_order_types"), says=saying(backwards)),
    "an error has no `error`": Fault(
        ("v3_bad_json", "auth_missing_401", "txn_future_v3_error", "dql_syntax_error_400"),
        says=saying(lambda body: body.pop("error", None)),
    ),
    "an error has no `message`": Fault(
        ("v4_count_missing_query", "auth_bad_key_401"), says=saying(lambda body: body.pop("message", None))
    ),
    "an error's code is not its status": Fault(
        ("v3_error_code_matches_status",), says=saying(lambda body: body.get("error", {}).update(code=500))
    ),
    "every error is a 400": Fault(
        ("auth_missing_401", "txn_future_v3_error", "payload_too_large"), says=found_anew(400)
    ),
    "every error is a 500": Fault(
        ("v3_bad_json", "dql_missing_argument", "legacy_invalid_path_trailing_ident"), says=found_anew(500)
    ),
    "errors are answered 200": Fault(("clientid_wrong_length", "v3_write_find_inside_rejected"), says=found_anew(200)),
    "a transaction is always 1": Fault(("txn_ids_increase",), says=saying(first_transaction)),
    "a read says it is of no transaction": Fault(
        ("txn_read_your_write_v3", "v4_count"), says=saying(lambda body: body.pop("txnId", None))
    ),
    "a transaction that is to come is not waited for": Fault(
        ("txn_future_v3_error", "txn_future_v4_execute_404_shape"), deaf_to("X-DITTO-TXN-ID")
    ),
    "a transaction that is no number is taken": Fault(("txn_header_not_integer",), deaf_to("X-DITTO-TXN-ID")),
    "CBOR is never given": Fault(("v4_cbor_find",), deaf_to("Accept")),
    "`limit` is not looked at": Fault(("v3_find_limit_offset",), hearing(lambda body: body.pop("limit", None))),
    "`offset` is not looked at": Fault(("v3_find_limit_offset",), hearing(lambda body: body.pop("offset", None))),
    "a query is always true": Fault(
        ("legacy_gt", "legacy_regex"),
        hearing(lambda body: body.update(query="true") if "query" in body else None),
    ),
    "a count is one less": Fault(("v4_count",), says=saying(lambda body: body.update(count=body.get("count", 0) - 1))),
    "a statement says it changed nothing": Fault(
        ("dql_update_set", "dql5_backtick_identifier"), says=saying(lambda body: body.update(mutatedDocumentIds=[]))
    ),
    "a statement's answer has no list of warnings": Fault(
        ("dql_select_all", "dql_unauthorized_401"), says=saying(lambda body: body.pop("warnings", None))
    ),
    "an upsert forgets the other fields": Fault(
        ("v3_upsert_merges_fields",),
        says=saying(lambda body: (body.get("document") or {"fields": {}})["fields"].pop("friends", None)),
    ),
    "nothing is answered": Fault(("v3_find_basic", "dql_select_all"), says=lambda answer: answer._replace(body=b"")),
    "a client ID is not looked at": Fault(
        ("clientid_wrong_length",),
        lambda step: {**step, "headers": {**step["headers"], "X-DITTO-CLIENT-ID": "AAAAAAAAAAUAAAAAAAAAAA=="}},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told(fault: str, make_target: MakeTarget) -> None:
    for name in FAULTS[fault].cases:
        assert name not in known_failures("store")
        with make_target(CASES[name]) as target:
            assert problems_of(CASES[name], Faulty(target, FAULTS[fault])), name


def test_a_setup_that_fails_is_told(make_target: MakeTarget) -> None:
    """What a case is about is not looked at before its state is there."""
    case = CASES["v3_find_basic"]
    with make_target(case) as target:
        target.variables["KEY"] = "wrong"
        [problem] = problems_of(case, target)
    assert problem.startswith("a step of the setup was answered 401")


def test_a_server_that_does_not_answer_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    with remote_target(f"http://127.0.0.1:{port}", "key")(CASES["v3_find_basic"]) as target:
        [problem] = problems_of(CASES["v3_find_basic"], target)
    assert problem.startswith("the server did not answer: ConnectionRefusedError")


def test_replicas_that_differ_are_told() -> None:
    """A planted error: the winner of two writes is expected to be the other one."""
    case = CASES["merge_lww_register_later_wins"]
    wrong = case._replace(expect={"body": {"p/1": {"drink": "Coke"}}})
    problems = problems_of(wrong, None)  # type: ignore[arg-type]  # no server takes part
    assert problems_of(case, None) == []  # type: ignore[arg-type]
    assert len(problems) == 4  # on both stores, in both orders
