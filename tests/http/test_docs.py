"""`docs/http.md` says what the server does: its examples run, its tables are those of the code.

Rules: the tables between markers are written by the functions here. When one differs, the failure shows the
text that belongs there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Store, errors
from crdtstore.auth.api_key import KeyRing
from crdtstore.client.blocking import Client, tree
from crdtstore.http.faults import LIMIT_STATUSES, STATUSES
from crdtstore.http.request import JSON
from crdtstore.http.routes import ROUTES
from crdtstore.http.server import Application
from tests.http.calling import Answered, call, serving

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
TITLES = {"/api/replication/v1": "The exchange between stores"}
STREAMED = {"/admin/backup"}
"""Routes that answer no JSON."""

EXAMPLE = re.compile(r"^```sh\n(?P<command>.*?)^```\n\n```json\n(?P<answer>.*?)^```$", re.MULTILINE | re.DOTALL)


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


def run_curl(app: Application, command: str, key: str) -> Answered:
    """Do what a curl command of the page does."""
    words = shlex.split(command.replace("\\\n", " ").replace("$KEY", key).replace("$args", "\\$args"))
    assert words[0] == "curl"
    options = list(zip(words[2::2], words[3::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in options if name == "--header")
    body = next((value.replace("\\$", "$").encode() for name, value in options if name == "--data"), None)
    path = words[1].removeprefix("http://localhost:8080")
    return call(app, "GET" if body is None else "POST", path, body, {**headers, "host": "localhost:8080"})


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Leave of the values that differ from store to store their type and length."""
    varying: dict[str, Callable[[Any], Any]] = {"origin": len, "digest": len, "bytes_on_disk": type, "core": type}
    return {key: varying[key](value) if key in varying else value for key, value in answer.items()}


def test_the_examples_answer_what_the_page_says(app: Application, key: str) -> None:
    examples = list(EXAMPLE.finditer(PAGE))
    assert len(examples) == sum(route.forms[0] is JSON and route.path not in STREAMED for route in ROUTES)
    for example in examples:
        answered = run_curl(app, example["command"], key)
        assert answered.status == 200
        assert comparable(answered.json) == comparable(json.loads(example["answer"]))


def test_every_route_has_its_section() -> None:
    for route in ROUTES:
        title = TITLES.get(route.path, route.path.rpartition("/")[2])
        methods = "` or `".join(reversed(route.methods))
        assert f"\n## {title}\n\n`{methods} {route.path}`\n" in PAGE


@pytest.mark.parametrize(("name", "table"), [("errors", error_table()), ("limits", limit_table())])
def test_the_tables_are_those_of_the_code(name: str, table: str) -> None:
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
