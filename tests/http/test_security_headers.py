"""What browsers are told on every answer; and that what needs a key stays out of shared caches."""

from __future__ import annotations

import asyncio

import pytest

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.errors import MalformedRequest
from crdtstore.http.server import Application, application
from crdtstore.http.serving.connection import as_bytes
from tests.http.calling import Answered, answers, call, exchange, headers_for
from tests.http.samples import OPEN, SAMPLES, STRANGERS, Sample

POLICY = "default-src 'none'; frame-ancestors 'none'"
CAREFUL = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
CLOSED = [sample for sample in SAMPLES if sample.target not in OPEN | STRANGERS]


def check_careful(answered: Answered, policy: str = POLICY) -> None:
    """Fail unless an answer has what every answer has."""
    assert {name: answered.headers.get(name) for name in CAREFUL} == CAREFUL
    assert answered.headers["content-security-policy"] == policy


def send(app: Application, sample: Sample, key: str | None) -> Answered:
    """Send a request that is answered well with a key."""
    headers = headers_for(key) if key else {}
    return call(app, sample.method, sample.target, sample.body, {**headers, "content-type": sample.content_type})


@pytest.mark.parametrize("sample", CLOSED, ids=lambda sample: f"{sample.method} {sample.target}")
def test_what_needs_a_key_is_careful_and_in_no_cache(app: Application, key: str, sample: Sample) -> None:
    for answered in (send(app, sample, key), send(app, sample, None)):
        check_careful(answered)
        cached = answered.headers["cache-control"]
        assert cached == "no-store" or (answered.status == 200 and cached.startswith("private,"))


@pytest.mark.parametrize("path", sorted(OPEN))
def test_what_needs_none_is_careful(app: Application, path: str) -> None:
    answered = call(app, "GET", path)
    policy = answered.headers["content-security-policy"]
    check_careful(answered, policy)
    assert (policy == POLICY) is (path != "/docs")
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert not set(policy.split()) & {"'unsafe-inline'", "'unsafe-eval'", "*", "data:", "https:"}
    tag = answered.headers["etag"]
    check_careful(call(app, "GET", path, None, {"if-none-match": tag}), policy)


def test_what_is_no_request_is_answered_so(app: Application) -> None:
    [answered] = answers(as_bytes(MalformedRequest("no")))
    check_careful(answered)
    check_careful(call(app, "GET", "/txn", None, {"host": "evil.example"}))


@pytest.mark.parametrize(
    ("scheme", "host", "promised"),
    [
        ("https", "store.example", True),
        ("https", "store.example:8443", True),
        ("http", "store.example", False),
        ("https", "localhost", False),
        ("https", "shop.localhost:8443", False),
        ("https", "127.0.0.1:8443", False),
    ],
)
@pytest.mark.parametrize("path", ["/txn", "/openapi.json"])
def test_tls_stays_where_it_is_spoken(
    store: Store, keyring: KeyRing, path: str, scheme: str, host: str, *, promised: bool
) -> None:
    app = application(store, keyring, hosts=["store.example", "localhost", "127.0.0.1", "shop.localhost"])

    async def run() -> Answered:
        request = exchange("GET", path, None, {"host": host})
        request.scope["scheme"] = scheme
        await app(request.scope, request.receive, request.send)
        return request.answered

    told = asyncio.run(run()).headers.get("strict-transport-security")
    assert told == ("max-age=31536000" if promised else None)
