"""A case is run here: its setup, its request, and what is wrong with the answer.

Rules: the steps of a setup must succeed. Before the request the last transaction of the setup is applied: every write
is answered when it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from http.client import HTTPException
from typing import Any, Final

from tests.conformance.case import Case, captured, fill
from tests.conformance.match import ABSENT, differences, shown
from tests.conformance.replicas import replica_problems
from tests.conformance.target import Answer, Target


def problems_of(case: Case, target: Target) -> list[str]:
    """What is wrong, in words; empty when the case holds."""
    if case.request["method"] == "ENGINE":
        return list(replica_problems(case))
    try:
        if "event" in case.expect:
            return list(event_problems(case, target))
        return list(request_problems(case, target))
    except (OSError, HTTPException) as error:
        return [f"the server did not answer: {error!r}"]


def request_problems(case: Case, target: Target) -> Iterator[str]:
    """The same for a case that asks a server."""
    known = dict(target.variables)
    for step in case.setup:
        for one, variables in repeated(step, known):
            problem = prepare(one, variables, known, target)
            if problem:
                yield problem
                return
    yield from answer_problems(fill(case.expect, known), target.send(fill(case.request, known)))


def event_problems(case: Case, target: Target) -> Iterator[str]:
    """The same for a case that looks at the feed of changes, which is followed from before the request on."""
    for step in case.setup:
        problem = prepare(step, dict(target.variables), {}, target)
        if problem:
            yield problem
            return
    internal = case.request["method"] == "INTERNAL"
    with target.lagging() if internal else nullcontext(), target.follow() as events:
        answer = target.send(fill(SOME_WRITE if internal else case.request, target.variables))
        if answer.status == case.expect["status"]:
            answer = answer._replace(body=next(events))
        yield from answer_problems({"status": case.expect["status"], "body": case.expect["event"]}, answer)


SOME_WRITE: Final = {
    "method": "POST",
    "path": "/api/v4/store/write",
    "headers": {"Authorization": "Bearer ${KEY}"},
    "body": {"commands": [{"method": "upsert", "collection": "people", "id": "a", "value": {}}]},
}
"""What is asked where a case is about the server itself."""


def repeated(step: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """A step, as often as it is to be done, each with its number."""
    if "repeat" not in step:
        yield step, dict(known)
        return
    for number in range(step["repeat"]):
        yield step["template"], {**known, "i": number}


def prepare(step: Mapping[str, Any], variables: dict[str, Any], known: dict[str, Any], target: Target) -> str | None:
    """Do one step of a setup; what is wrong with it."""
    if "create_key" in step:
        asked = step["create_key"]
        key = target.create_key(asked)
        if key is None:
            return "a key with these permissions cannot be made here"
        known[asked["capture"]] = key
        return None
    answer = target.send(fill(dict(step), variables))
    if not 200 <= answer.status < 300:
        return f"a step of the setup was answered {answer.status}: {answer.body[:300]!r}"
    for name, path in step.get("capture", {}).items():
        try:
            known[name] = captured(answer.json, path)
        except (LookupError, TypeError):
            return f"a step of the setup was answered without {path}: {answer.body[:300]!r}"
    return None


def answer_problems(expect: Mapping[str, Any], answer: Answer) -> Iterator[str]:
    """What is wrong with an answer."""
    statuses = expect["status"] if isinstance(expect["status"], list) else [expect["status"]]
    if answer.status not in statuses:
        yield f"status {expect['status']} was expected; {answer.status} came with {answer.body[:300]!r}"
        return
    for name, wanted in expect.get("headers", {}).items():
        found = header_value(name, answer.headers.get(name.lower()))
        yield from differences(wanted, found, name)
    if "body" in expect:
        yield from differences(expect["body"], answer.json)
    if "body_lines" in expect:
        yield from differences(expect["body_lines"], answer.lines)
    if "text" in expect and answer.body.decode() != expect["text"]:
        yield f"the text {expect['text']!r} was expected; {shown(answer.body)} came"


def header_value(name: str, value: str | None) -> Any:
    """A header as it is compared: a number, or without the parameters of a media type."""
    if value is None:
        return ABSENT
    if name.lower() == "content-type":
        return value.partition(";")[0].strip()
    return int(value) if value.isdigit() else value
