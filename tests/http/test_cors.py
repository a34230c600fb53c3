"""Requests from pages of other sites: nothing is let through unless its origin is allowed by name, to the letter."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtstore import Store, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.errors import CallerError
from crdtstore.http import server
from crdtstore.http.apps import of_one
from crdtstore.http.cors import allowed, origins_of
from crdtstore.http.route import Route
from crdtstore.http.routes import ROUTES
from crdtstore.http.server import Application, Rates, application
from tests.http.calling import ACTOR, Answered, call, headers_for, upsert

SHOP = "https://shop.example"
OTHERS = (
    "null",
    "https://shop.example.evil.example",
    "https://evil-shop.example",
    "http://shop.example",
    "https://shop.example:444",
    "https://SHOP.example",
    "https://shop.example/",
    "shop.example",
    "*",
    "",
    "https://shop.example, https://evil.example",
)
WRITE = "/api/v4/store/write"
FIND = "/api/v4/store/find"
PREFIX = "access-control-"


@pytest.fixture
def open_app(store: Store, keyring: KeyRing) -> Application:
    """An application that pages of the shop may call."""
    return application(store, keyring, origins=[SHOP])


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> str:
    """A route that is open to every site."""
    path = "/txn"
    monkeypatch.setattr(server, "EVERY_SITE_PATHS", frozenset({path}))
    return path


def ask(app: Application, path: str, origin: str = SHOP, method: str = "POST", names: str = "") -> Answered:
    """Ask as a browser asks before a page calls."""
    headers = {"origin": origin, f"{PREFIX}request-method": method}
    if names:
        headers[f"{PREFIX}request-headers"] = names
    return call(app, "OPTIONS", path, None, headers)


def told(answered: Answered) -> set[str]:
    """What an answer says of pages of other sites."""
    return {name for name in answered.headers if name.startswith(PREFIX)}


def test_nobody_may_unless_told(app: Application, key: str) -> None:
    for answered in (
        ask(app, FIND),
        call(app, "GET", "/txn", None, headers_for(key, origin=SHOP)),
        call(app, "GET", "/openapi.json", None, {"origin": SHOP}),
    ):
        assert not told(answered)
        assert "vary" not in answered.headers
    assert ask(app, FIND).status == 401


@pytest.mark.parametrize("route", [pytest.param(route, id=route.path) for route in ROUTES])
def test_a_browser_is_told_the_methods_of_a_path(open_app: Application, route: Route) -> None:
    path = re.sub(r"\{\w+\}", "x", route.path)
    for method in route.methods:
        answered = ask(open_app, path, method=method)
        assert (answered.status, answered.body) == (204, b"")
        assert answered.headers[f"{PREFIX}allow-methods"] == ", ".join(route.methods)
        assert answered.headers[f"{PREFIX}allow-origin"] == ("*" if route.every_site else SHOP)
        assert answered.headers[f"{PREFIX}max-age"] == str(limits.PREFLIGHT_SECONDS)
        assert answered.headers.get("vary") == (None if route.every_site else "origin")
        assert f"{PREFIX}allow-credentials" not in answered.headers
        assert "content-length" not in answered.headers


def test_headers_are_allowed_that_mean_something(open_app: Application) -> None:
    asked = "authorization, Content-Type,x-ditto-client-id , x-evil, host, X-HYDRA-TXN-ID"
    answered = ask(open_app, WRITE, names=asked)
    allowed = "authorization, content-type, x-ditto-client-id, x-hydra-txn-id"
    assert answered.headers[f"{PREFIX}allow-headers"] == allowed
    assert f"{PREFIX}allow-headers" not in ask(open_app, WRITE, names="x-evil").headers


def test_there_is_nothing_to_call_where_there_is_no_route(open_app: Application) -> None:
    answered = ask(open_app, "/nowhere")
    assert (answered.status, answered.code) == (404, "not-found")
    assert answered.headers[f"{PREFIX}allow-origin"] == SHOP


@pytest.mark.parametrize("origin", OTHERS)
def test_other_origins_are_told_nothing(open_app: Application, key: str, origin: str) -> None:
    answered = ask(open_app, FIND, origin=origin)
    assert answered.status == 401
    assert not told(answered)
    answered = call(open_app, "GET", "/txn", None, headers_for(key, origin=origin))
    assert answered.status == 200
    assert not told(answered)
    assert answered.headers["vary"] == "origin"


def test_answers_of_every_kind_reach_the_page(open_app: Application, key: str) -> None:
    mine = headers_for(key, origin=SHOP)
    answers = {
        "good": call(open_app, "POST", WRITE, upsert("a", n=1), mine),
        "refused": call(open_app, "POST", FIND, {"collection": "c"}, {"origin": SHOP}),
        "malformed": call(open_app, "POST", WRITE, b"{", mine),
        "lost": call(open_app, "GET", "/nowhere", None, mine),
        "asked wrong": call(open_app, "POST", "/txn", {}, mine),
        "long": call(open_app, "GET", "/" + "x" * limits.TARGET_BYTES_MAX, None, mine),
        "open": call(open_app, "GET", "/openapi.json", None, {"origin": SHOP}),
        "lines": call(open_app, "GET", f"/api/v4/store/live?collection=c&query=true&client={ACTOR}", None, mine),
        "feed": call(open_app, "GET", "/api/v4/store/changes?collections=c", None, mine),
    }
    for name, answered in answers.items():
        assert answered.headers[f"{PREFIX}allow-origin"] == SHOP, name
        assert "x-ditto-txn-id" in answered.headers[f"{PREFIX}expose-headers"], name
        assert answered.headers["vary"] == "origin", name


def test_a_host_that_is_not_ours_is_refused_to_its_browser_too(open_app: Application) -> None:
    headers = {"origin": SHOP, f"{PREFIX}request-method": "POST", "host": "evil.example"}
    assert call(open_app, "OPTIONS", FIND, None, headers).status == 403


def test_two_origins_are_none(open_app: Application, key: str) -> None:
    pairs = [("authorization", f"Bearer {key}"), ("origin", SHOP), ("origin", SHOP)]
    answered = call(open_app, "GET", "/txn", None, pairs)
    assert answered.status == 400
    assert not told(answered)


def test_options_that_no_browser_asks_is_a_request_like_others(open_app: Application, key: str) -> None:
    answered = call(open_app, "OPTIONS", "/txn", None, headers_for(key, origin=SHOP))
    assert (answered.status, answered.headers["allow"]) == (405, "GET")


def test_who_asks_too_often_is_refused_without_a_key(store: Store, keyring: KeyRing) -> None:
    app = application(store, keyring, origins=[SHOP], rates=Rates(address=0.1))
    assert [ask(app, FIND).status for _ in range(2)] == [204, 429]


def test_a_route_may_be_open_to_every_site(app: Application, open_app: Application, key: str, login: str) -> None:
    for served in (app, open_app):
        asked = ask(served, login, origin="null", method="GET")
        answered = call(served, "GET", login, None, headers_for(key, origin="https://evil.example"))
        assert (asked.status, answered.status) == (204, 200)
        for each in (asked, answered):
            assert each.headers[f"{PREFIX}allow-origin"] == "*"
            assert "vary" not in each.headers
        assert not told(ask(served, FIND, origin="null"))


def test_the_app_that_a_path_names_makes_no_difference(store: Store, keyring: KeyRing, key: str, login: str) -> None:
    app = Application(of_one(store, keyring, "shop"), origins=[SHOP])
    for path in (FIND, f"/shop{FIND}", f"/another{FIND}"):
        assert ask(app, path).headers[f"{PREFIX}allow-methods"] == "GET, POST"
    assert ask(app, f"/shop{login}", origin="null", method="GET").headers[f"{PREFIX}allow-origin"] == "*"


def test_what_is_open_to_every_site_has_one_path() -> None:
    assert not any(route.names for route in ROUTES if route.every_site)


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "",
        f"{SHOP}/",
        f"{SHOP}/a",
        f"{SHOP}:443",
        f"{SHOP}\n",
        "https://*.example",
        "https://Shop.example",
        "shop.example",
        "http://shop.example:80",
        "https://a b",
        "https://shop.example:123456",
        "https://ä",
    ],
)
def test_what_could_never_be_met_is_refused(text: str) -> None:
    with pytest.raises(CallerError, match="An origin that is allowed"):
        origins_of([SHOP, text])


@pytest.mark.parametrize(
    "text", [SHOP, "http://localhost:3000", "http://[::1]:8080", "http://127.0.0.1", "app://localhost", SHOP + ":80"]
)
def test_what_browsers_send_is_taken(text: str) -> None:
    assert origins_of([text]) == {text.encode()}


@given(st.text(alphabet="htps:/.*exampl-A0 \n", max_size=24))
@example(SHOP)
@settings(max_examples=300)
def test_what_is_taken_is_its_own_origin(text: str) -> None:
    try:
        taken = origins_of([text])
    except CallerError:
        return
    parts = urlsplit(text)
    assert taken == {f"{parts.scheme}://{parts.netloc}".encode()}
    assert "*" not in text


@given(st.binary(max_size=24), st.sets(st.sampled_from([SHOP.encode(), b"http://localhost:1"])))
@example(SHOP.encode(), {SHOP.encode()})
def test_only_what_is_named_is_allowed(origin: bytes, origins: set[bytes]) -> None:
    said = allowed(origin, frozenset(origins), every_site=False)
    assert said == (origin if origin in origins else None)
