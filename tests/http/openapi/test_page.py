"""The page of the API shows every call, and asks for nothing from elsewhere."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from crdtstore.http.routes import ROUTES
from crdtstore.http.server import Application
from tests.http.calling import Answered, call, serving

LOADING = {"src", "href", "action", "formaction", "data", "poster", "srcset", "background", "ping", "style"}
"""Attributes by which a page asks for something, or escapes its policy."""


class Elements(HTMLParser):
    """The elements of a page, in order, with their attributes and the text in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.tag = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.tag = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.tag, []).append(data)


@pytest.fixture
def page(app: Application) -> Answered:
    return call(app, "GET", "/docs")


def test_every_call_is_shown(page: Answered) -> None:
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    shown = set(re.findall(r'<span class="method \w+">(\w+)</span><span class="path">([^<]+)</span>', text))
    assert shown == {(method, route.path) for route in ROUTES for method in route.methods}


def test_it_asks_for_nothing(page: Answered) -> None:
    elements = Elements(page.body.decode())
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"link", "img", "iframe", "object", "embed", "base", "audio", "video", "svg"}
    assert [(tag, name) for tag, attributes in elements.found for name in attributes if name in LOADING] == []
    assert [name for _, attributes in elements.found for name in attributes if name.startswith("on")] == []
    assert not re.search(r"@import|url\(", "".join(elements.texts["style"]))
    assert not re.search(r"import\(|localStorage|sessionStorage|cookie|innerHTML", "".join(elements.texts["script"]))


def test_its_policy_names_what_stands_in_it_and_nothing_else(page: Answered) -> None:
    text = page.body.decode()
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    for tag in ("style", "script"):
        [inside] = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert policy[f"{tag}-src"] == f"'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'"
    assert (policy["default-src"], policy["connect-src"], policy["frame-ancestors"]) == ("'none'", "'self'", "'none'")


def test_the_programs_run(app: Application, page: Answered, key: str) -> None:
    shown = re.findall(r"<h3>Python</h3><pre>(.*?)</pre>", page.body.decode(), re.DOTALL)
    assert len(shown) == sum(len(route.methods) for route in ROUTES)
    said: list[Any] = []
    with serving(app) as (host, port):
        for path in ("v3/store/write'", "v3/store/find'", "v5/store/execute'"):
            program = next(each for each in map(unescape, shown) if path in each and "'POST'" in each)
            program = program.replace("localhost:8080", f"{host}:{port}").replace("Bearer KEY", f"Bearer {key}")
            exec(program, {"print": lambda status, body: said.append((status, json.loads(body)))})
    assert [status for status, _ in said] == [200, 200, 200]
    assert [document["id"] for document in said[1][1]["documents"]] == ["ada"]
