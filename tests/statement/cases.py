"""The published cases of the statement language, run on a store in this process.

Rules: a case's setup runs first, statement by statement; then its request, and what it answers is compared as the case
says: `$int` and `$str` are any, `$absent` is not there, `$unordered` a list in any order; keys that the case does not
name may be there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from crdtstore import Store
from crdtstore.errors import CallerError, CrdtStoreError

CASES: Final = Path(__file__).parent / "cases.jsonl"


class Answer(NamedTuple):
    """What a request would answer over HTTP."""

    status: int
    body: dict[str, Any]


def read_cases() -> list[dict[str, Any]]:
    """All cases."""
    return [msgspec.json.decode(line) for line in CASES.read_bytes().splitlines()]


def run_case(case: dict[str, Any]) -> Answer:
    """Run the setup, which has to work, and then the request."""
    with Store.in_memory() as store:
        for request in case.get("setup", ()):
            answer = run_request(store, request)
            assert answer.status == 200, answer
        return run_request(store, case["request"])


def run_request(store: Store, request: dict[str, Any]) -> Answer:
    """Run the statement of a request."""
    body = request["body"]
    profile: Any = "v4" if "/v4/" in request["path"] else "v5"
    try:
        done = store.execute(body["statement"], body.get("args"), profile=profile)
    except CallerError as error:
        return failed(error, error.status)
    except CrdtStoreError as error:
        return failed(error, 500)
    kind = "select" if body["statement"].startswith("SELECT") else "mutation"
    body = {"transactionId": done.txn, "queryType": kind, "items": done.items, "mutatedDocumentIds": [*done.mutated]}
    return Answer(200, {**body, "error": {}, "warnings": [*done.warnings], "totalWarningsCount": len(done.warnings)})


def failed(error: CrdtStoreError, status: int) -> Answer:
    """What an error would answer."""
    said = {"description": error.data.get("description", error.message)}
    body = {"queryType": "unknown", "items": [], "mutatedDocumentIds": [], "error": said, "warnings": []}
    return Answer(status, {**body, "totalWarningsCount": 0})


def mismatches(expected: Any, found: Any, at: str = "$") -> list[str]:
    """Where an answer is not as a case says."""
    if expected in ("$int", "$str"):
        return [] if isinstance(found, int if expected == "$int" else str) else [f"{at}: {found!r}"]
    if isinstance(expected, dict) and "$unordered" in expected:
        rest = [*found]
        for item in expected["$unordered"]:
            rest = without_first(rest, item)
        return [] if len(rest) == len(found) - len(expected["$unordered"]) == 0 else [f"{at}: {found!r}"]
    if isinstance(expected, dict) and isinstance(found, dict):
        return [each for key, value in expected.items() for each in mismatches_of_key(key, value, found, at)]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [each for number, (one, other) in pairs for each in mismatches(one, other, f"{at}[{number}]")]
    return [] if expected == found and type(expected) is type(found) else [f"{at}: {found!r}"]


def mismatches_of_key(key: str, expected: Any, found: dict[str, Any], at: str) -> list[str]:
    """The same for one key of an object."""
    if expected == "$absent":
        return [f"{at}.{key} is there"] if key in found else []
    return mismatches(expected, found[key], f"{at}.{key}") if key in found else [f"{at}.{key} is not there"]


def without_first(items: list[Any], expected: Any) -> list[Any]:
    """A list without the first item that is as expected."""
    for number, item in enumerate(items):
        if not mismatches(expected, item):
            return items[:number] + items[number + 1 :]
    return items
