"""`docs/http*.md` say what the server does: their examples run, the tables are those of the code.

Rules: the tables between markers are written by the functions here. When one differs, the failure shows the
text that belongs there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Store, errors
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.token import Tokens
from crdtstore.auth.token_keys import TokenKeys, draw_signing_key
from crdtstore.client.blocking import Client, tree
from crdtstore.http.event_stream import MEDIA_TYPE
from crdtstore.http.faults import LIMIT_STATUSES, STATUSES
from crdtstore.http.login.login import Login
from crdtstore.http.login.providers import read_providers
from crdtstore.http.request import JSON_LINES, MESSAGE
from crdtstore.http.routes import ROUTES, find_route
from crdtstore.http.server import Application, application
from crdtstore.http.store.version import VERSIONS
from tests.http.calling import Answered, call, serving
from tests.http.samples import OPEN

PAGES = {
    file.name: file.read_text(encoding="utf-8")
    for file in sorted((Path(__file__).parents[2] / "docs").glob("http*.md"))
}
PAGE = PAGES["http.md"]
TITLES = {
    "/api/replication/v1": "The exchange between stores",
    "/": "Indexes",
    "/admin/keys/{prefix}": "One key",
    "/admin/accounts/{name}": "One account",
    **dict.fromkeys(("/admin/change-images", "/admin/change-images/{collection}"), "Images that are kept"),
    "/api/v1/store": "Calls by name",
    "/api/v1/collections/{collection}/distinct_values": "Distinct values",
    "/api/v1/collections": "Collections",
    "/api/v1/collections/{collection}/documents": "A listing",
    "/api/v1/collections/{collection}/documents/{id}": "A document",
    **{f"/api/{version}/collections/{{collection}}/documents/{{id}}": "One document" for version in ("v4", "v5")},
    **{f"/api/{version}/collections/{{collection}}/documents/{{id}}/history": "History" for version in ("v4", "v5")},
    "/api/v1/timeseries/{series}/events": "Events",
    "/api/v2/timeseries/{series}/distinct_values": "Distinct values",
    "/api/v1/timeseries/{series}/distinct_values": "Distinct values",
    "/api/v1/timeseries/{series}/distinct_value": "Distinct values",
} | {f"/api/{version}": "Indexes" for version in VERSIONS}
TITLES |= dict.fromkeys(OPEN, "The documents of the API")
FILES = {f"/api/{version}/{name}/{{id}}" for version in ("v4", "v5") for name in ("attachments", "attachment")}
TITLES |= dict.fromkeys(FILES, "A file")
STREAMED = {"/admin/backup", *FILES}
"""Routes that answer no JSON."""

ERROR_KEYS = {"both": "`message`, `error`", "error": "`error`"}
"""What stands at the top of an error's body, by its form."""

EXAMPLE = re.compile(
    r"^```sh\n(?P<command>.*?)^```\n\n```(?:json|text)\n(?P<answer>.*?)^```$", re.MULTILINE | re.DOTALL
)


@pytest.fixture
def app(store: Store, keyring: KeyRing, tmp_path: Path) -> Iterator[Application]:
    """The application, with the providers of logins that a page names."""
    signing, providers = tmp_path / "key.json", tmp_path / "login.toml"
    signing.write_text(json.dumps(draw_signing_key("docs")))
    providers.write_text(re.findall(r"```toml\n(.*?)```", PAGES["http-login.md"], re.DOTALL)[0])
    for file in (signing, providers):
        file.chmod(0o600)
    tokens = Tokens(TokenKeys(None, signing))
    yield application(store, keyring, tokens=tokens, login=Login(read_providers(providers, ()), tokens))
    tokens.close()


def marked(name: str) -> str:
    """Return what stands between two markers of the page."""
    return PAGE.partition(f"<!-- {name}: begin -->\n")[2].partition(f"<!-- {name}: end -->")[0]


def error_table() -> str:
    """Write the catalogue of errors, in the order of their tree."""
    rows = [
        f"| {STATUSES[kind]} | `{kind.code}` | {(kind.__doc__ or '').partition(chr(10))[0]} |"
        for kind in tree(errors.CrdtStoreError)
    ]
    return "\n".join(["| status | `error.data.code` | |", "|---|---|---|", *rows, ""])


def limit_table() -> str:
    """Write the statuses of the bounds, by status."""
    by_status: dict[int, list[str]] = {}
    for name, status in LIMIT_STATUSES.items():
        by_status.setdefault(status, []).append(f"`{name}`")
    rows = [f"| {status} | {', '.join(names)} |" for status, names in sorted(by_status.items())]
    return "\n".join(["| status | `error.data.limit` |", "|---|---|", *rows, "| 413 | all others |", ""])


def route_table() -> str:
    """Write the routes, those of several versions in one row."""
    rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for route in ROUTES:
        version = route.version.name if route.version else ""
        place = route.path.replace(f"/api/{version}/", "/api/vN/") if version else route.path
        rows.setdefault((place, route.methods), []).append(version[1:])
    lines = [
        f"| {' '.join(methods)} | `{place}` | {', '.join(versions)} |" for (place, methods), versions in rows.items()
    ]
    return "\n".join(["| | path | versions |", "|---|---|---|", *lines, ""])


def yes(said: bool) -> str:  # noqa: FBT001  it is what is written
    """Write a truth value."""
    return "yes" if said else "no"


def version_table() -> str:
    """Write what each version does its own way."""
    head = "| | " + " | ".join(VERSIONS) + " |\n|---" + "|---" * len(VERSIONS) + "|"
    every = VERSIONS.values()
    answers = {True: "`document`", False: "`id`, `fields`"}
    said: dict[str, list[str]] = {
        "a transaction is": [version.transaction_each for version in every],
        "a write needs `X-DITTO-CLIENT-ID`": [yes(version.needs_client_id) for version in every],
        "results tell counts that are always zero": [yes(version.all_counts) for version in every],
        "a document that is not there is": [version.missing_document for version in every],
        "`findbyid` answers": [answers[version.document_inside] for version in every],
        "`find` takes `sort`, `cursor`": [yes(version.sorts) for version in every],
        "a body is bounded by": [f"`{version.payload.limit}`" for version in every],
        "an error has": [ERROR_KEYS[version.errors] for version in every],
        "statements are of": [version.profile for version in every],
    }
    return "\n".join([head, *(f"| {what} | {' | '.join(values)} |" for what, values in said.items()), ""])


def run_curl(app: Application, command: str, key: str) -> Answered:
    """Do what a curl command of the page does."""
    public = key.partition(FIXED_PART)[0]
    words = shlex.split(
        command.replace("\\\n", " ").replace("$KEY", key).replace("$PREFIX", public).replace("$args", "\\$args")
    )
    assert words[0] == "curl"
    options = list(zip(words[2::2], words[3::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in options if name == "--header")
    body = next((value.replace("\\$", "$").encode() for name, value in options if name == "--data"), None)
    fields = [value.partition("=") for name, value in options if name == "--form"]
    if fields:
        parts = (f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, _, text in fields)
        body, headers["Content-Type"] = ("".join(parts) + "--x--\r\n").encode(), "multipart/form-data; boundary=x"
    path = words[1].removeprefix("http://localhost:8080")
    method = dict(options).get("--request", "GET" if body is None else "POST")
    return call(app, method, path, body, {**headers, "host": "localhost:8080"})


def values_of(text: str, answered: Answered) -> Any:
    """What a body holds: one value, or one a line; of an answer that goes on, the text up to its first event."""
    if answered.headers["content-type"] == MEDIA_TYPE.decode():
        return text.strip()
    lines = text.splitlines() if answered.headers["content-type"] == JSON_LINES.media_type.decode() else [text]
    return [comparable(json.loads(line)) for line in lines]


VARYING: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("origin", "digest", "peer"), len),
    **dict.fromkeys(("nextCursor", "timestamp"), type),
    **dict.fromkeys(("prefix", "key"), len),
    **dict.fromkeys(("userId", "identityB64", "accessToken", "accessExpiry"), type),
    **dict.fromkeys(("createdAt", "lastUsedAt", "oldValidUntil", "keys", "changes"), type),
    **dict.fromkeys(("bytes_on_disk", "core", "elapsedMilliseconds", "routes", "version"), type),
}
"""What is told of values that differ from store to store."""


def comparable(answer: Any) -> Any:
    """Leave of the values that differ from store to store their type and length."""
    if isinstance(answer, list):
        return [comparable(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    return {key: VARYING[key](value) if key in VARYING else comparable(value) for key, value in answer.items()}


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_answer_what_the_page_says(app: Application, key: str, page: str) -> None:
    for example in EXAMPLE.finditer(PAGES[page]):
        answered = run_curl(app, example["command"], key)
        assert answered.status in {200, 202}
        assert values_of(answered.body.decode(), answered) == values_of(example["answer"], answered)


def named(endpoint: Any) -> str:
    """The name of what answers; that of indexes is one, whatever they are of."""
    name: str = endpoint.__qualname__
    return name


def test_every_endpoint_of_json_has_an_example_and_a_section() -> None:
    pages = "\n".join(PAGES.values())
    shown = {shlex.split(example["command"])[1] for example in EXAMPLE.finditer(pages)}
    targets = {url.removeprefix("http://localhost:8080").partition("?")[0] for url in shown}
    endpoints = {named(found.route.endpoint) for target in targets if (found := find_route(target)) is not None}
    for route in ROUTES:
        if route.forms[0] is not MESSAGE and route.path not in STREAMED | OPEN:
            assert named(route.endpoint) in endpoints, route.path
        assert f"\n## {TITLES.get(route.path, route.path.rpartition('/')[2])}\n" in pages


TABLES = {"errors": error_table, "limits": limit_table, "routes": route_table, "versions": version_table}


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_those_of_the_code(name: str) -> None:
    table = TABLES[name]()
    assert marked(name) == table, f"Between the markers `{name}` of docs/http.md belongs:\n{table}"


def test_the_example_of_an_error_is_one(app: Application, key: str) -> None:
    answered = call(app, "POST", "/nowhere", {}, {"authorization": f"Bearer {key}"})
    assert any(
        json.loads(block) == answered.json
        for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
        if "error" in block
    )


def test_the_example_of_the_client_runs(app: Application, store: Store, keyring: KeyRing, key: str) -> None:
    [program] = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
    with serving(app) as (host, port):
        exec(program.replace("http://localhost:8080", f"http://{host}:{port}"), {"key": key})
    document = store.get("people", 1)
    assert document is not None
    assert document.fields == {"name": "Ada"}
    assert Client.__module__ in program
