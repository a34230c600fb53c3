"""Requests that are made of the document of the API, by schemathesis, and sent to the application.

Rules: the key is right, since callers without one get no further. A transaction to wait for is not waited for. What an
answer must be is what the document says: see `conform`.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final
from urllib.parse import quote, urlencode

import cbor2
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from crdtstore.http.request import MESSAGE
from crdtstore.http.route import Route
from crdtstore.http.routes import ROUTES
from crdtstore.http.server import Application
from tests.http.calling import Answered, call
from tests.http.openapi.conform import check_described, document

UNSENT: Final = frozenset({"authorization", "content-type", "host", "content-length", "transfer-encoding"})
"""Headers that are set here."""

TRANSACTIONS: Final = frozenset({"X-DITTO-TXN-ID", "X-CRDTSTORE-AT"})


@cache
def schema() -> Any:
    """The document as schemathesis reads it."""
    return schemathesis.openapi.from_dict(document())


def operations() -> list[tuple[Route, str]]:
    """All but open ones, of which no request is wrong, those that take nothing, and the exchange between stores."""
    return [
        (route, method)
        for route in ROUTES
        for method in route.methods
        if (said := document()["paths"][route.path][method.lower()])["parameters"] or "requestBody" in said
        if MESSAGE not in route.forms and not route.open
    ]


def body_of(case: Any) -> bytes:
    """The body as bytes of its media type; what is no value goes as it is."""
    if isinstance(case.body, bytes) or not case.media_type:
        return case.body if isinstance(case.body, bytes) else b""
    return cbor2.dumps(case.body) if case.media_type.endswith("cbor") else json.dumps(case.body).encode()


def target_of(case: Any) -> str:
    """The path with its parameters, and the query string."""
    parameters = {name: quote(str(value), safe="") for name, value in (case.path_parameters or {}).items()}
    path: str = case.path.format(**parameters)
    return f"{path}?{urlencode(case.query, doseq=True)}" if case.query else path


def sent(name: str, value: str) -> bool:
    """Whether a header is sent: a large transaction is none that the store has, and would end every request."""
    return name.lower() not in UNSENT and not (name in TRANSACTIONS and value.isdigit() and len(value) > 1)


def send(app: Application, key: str, case: Any) -> Answered:
    """Send a request."""
    headers = {name: str(value) for name, value in (case.headers or {}).items() if sent(name, str(value))}
    headers["authorization"] = f"Bearer {key}"
    body = body_of(case)
    if body:
        headers["content-type"] = case.media_type
    return call(app, case.method, target_of(case), body or None, headers)


def hold(answered: Answered, case: Any) -> None:
    """Refuse an answer that is not described, or an error of ours."""
    assert answered.status < 500, answered
    check_described(case.method, target_of(case), answered)


def check(
    app: Application, key: str, route: Route, method: str, mode: GenerationMode, examples: int, *, shrink: bool = True
) -> None:
    """Send requests that fit the document, or do not, and check the answers; make one that fails small."""
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]

    @settings(max_examples=examples, database=None, phases=phases, suppress_health_check=list(HealthCheck))
    @given(schema()[route.path][method].as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        hold(send(app, key, case), case)

    each()
