"""The page of the API: every call, with its parameters, as curl and as Python, and a form that sends it.

Rules: it is one file that asks for nothing else, made of the OpenAPI document. Its policy allows the one style and the
one script that stand in it, by their hashes, and requests to this server only. The key that is typed in stays in its
field.

Not here: what the calls are (`crdtstore.http.openapi.document`).
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from importlib.resources import files
from pprint import pformat
from typing import Any, Final, NamedTuple

from crdtstore.http.openapi.parameters import AUTHOR, HEADERS
from crdtstore.http.openapi.schemas import Schema

SERVER: Final = "http://localhost:8080"
SHOWN: Final = {"collection": "people", "id": "ada", "series": "sensors"}
"""What stands for the parameters of paths."""


class Page(NamedTuple):
    """A page, and the policy that browsers are to keep on it."""

    html: bytes
    policy: bytes


class Operation(NamedTuple):
    """One method of one path, and the document that it is described in."""

    method: str
    path: str
    said: Schema
    document: Schema

    @property
    def target(self) -> str:
        """A path that can be called."""
        path = self.path
        for name, value in SHOWN.items():
            path = path.replace(f"{{{name}}}", value)
        return path

    @property
    def body(self) -> str | None:
        """A body that it takes, as JSON; None where it takes none."""
        content: Schema = self.said.get("requestBody", {}).get("content", {})
        examples = [shown["example"] for shown in content.values() if "example" in shown]
        return json.dumps(examples[0], indent=2) if examples else None

    @property
    def parameters(self) -> list[Schema]:
        """Its parameters, as they stand in the document."""
        return [self.look_up(each) for each in self.said["parameters"]]

    def look_up(self, described: Schema) -> Schema:
        """What a reference refers to."""
        if "$ref" not in described:
            return described
        found: Any = self.document
        for name in described["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return dict(found)

    def headers(self) -> Iterator[tuple[str, str]]:
        """The headers that a request needs."""
        if self.said.get("security") != []:
            yield "Authorization", "Bearer $KEY"
        if any(each["name"] == AUTHOR and each["required"] for each in self.parameters):
            yield AUTHOR, HEADERS[AUTHOR][1]["example"]
        if self.body is not None:
            yield "Content-Type", "application/json"


def page_of(document: Schema) -> Page:
    """Make the page of a document."""
    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    groups: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            groups.setdefault(said["tags"][0], []).append(Operation(method.upper(), path, said, document))
    sections = "".join(section_of(name, groups[name]) for name in sorted(groups, reverse=True))
    version = escape(document["info"]["version"])
    html = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>crdtstore API</title><style>{style}</style></head><body>
<header><h1>crdtstore <small>{version}</small></h1>
<input id="search" type="search" placeholder="Search calls" aria-label="Search calls">
<input id="key" type="password" placeholder="API key" aria-label="API key" autocomplete="off"></header>
<main>{sections}<p id="nothing" class="none" hidden>No call has all of these words.</p></main>
<script>{script}</script></body></html>
"""
    policy = (
        f"default-src 'none'; style-src {hash_of(style)}; script-src {hash_of(script)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(html.encode(), policy.encode())


def hash_of(text: str) -> str:
    """Name a style or script in a policy."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def section_of(name: str, operations: list[Operation]) -> str:
    """The calls of one version, or of none."""
    title = "Server" if name == "store" else f"Store API {name}"
    return f"<section><h2>{escape(title)}</h2>{''.join(map(call_of, operations))}</section>"


def call_of(operation: Operation) -> str:
    """One call: closed it is a line."""
    method, said = operation.method, operation.said
    words = f"{method} {operation.path} {said['summary']}".lower()
    return f"""<details class="call" id="{escape(said["operationId"])}" data-words="{escape(words)}">
<summary><span class="method {method.lower()}">{method}</span><span class="path">{escape(operation.path)}</span>
<span class="what">{escape(said["summary"])}</span></summary><div class="inside">
{parameters_of(operation)}{body_of(operation)}<h3>curl</h3><pre>{escape(as_curl(operation))}</pre>
<h3>Python</h3><pre>{escape(as_python(operation))}</pre>
<h3>Answers</h3>{answers_of(operation)}{form_of(operation)}</div></details>"""


def parameters_of(operation: Operation) -> str:
    """The parameters as a table."""
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{each['in']}{', required' if each['required'] else ''}"
        f"</td><td>{marked(each.get('description', ''))}</td></tr>"
        for each in operation.parameters
    )
    return f"<h3>Parameters</h3><table>{rows}</table>" if rows else ""


def body_of(operation: Operation) -> str:
    """The fields of its body as a table, type by type where it may be one of several."""
    content: Schema = operation.said.get("requestBody", {}).get("content", {})
    schemas = {name: each["schema"] for each in content.values() for name in names_of(each["schema"])}
    return "".join(fields_of(name, operation.document["components"]["schemas"][name]) for name in schemas)


def fields_of(name: str, schema: Schema) -> str:
    """The fields of a type as a table."""
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{escape(kind_of(said))}</td>"
        f"<td>{'required' if field in schema.get('required', ()) else ''}</td></tr>"
        for field, said in schema.get("properties", {}).items()
    )
    return f"<h3>Body: {escape(name)}</h3><table>{rows}</table>" if rows else ""


def kind_of(schema: Schema) -> str:
    """A type in a word or two."""
    if "anyOf" in schema:
        return " or ".join(map(kind_of, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(map(json.dumps, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"array of {kind_of(schema.get('items', {}))}"
    return str(schema.get("type", "any value"))


def answers_of(operation: Operation) -> str:
    """The answers as a table."""
    rows = "".join(
        f"<tr><td><code>{status}</code></td><td>{meaning_of(operation.look_up(answer))}</td></tr>"
        for status, answer in operation.said["responses"].items()
    )
    return f"<table>{rows}</table>"


def meaning_of(answer: Schema) -> str:
    """What an answer says, a line each."""
    types = [name for content in answer.get("content", {}).values() for name in names_of(content["schema"])]
    described = [line for line in answer["description"].split("\n") if line]
    names = ", ".join(dict.fromkeys(types))
    return "<br>".join([*map(marked, described), *([escape(names)] if names else [])])


def marked(text: str) -> str:
    """Text with what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def names_of(schema: Schema) -> Iterator[str]:
    """The names of the types of a body."""
    for each in schema.get("anyOf", [schema]):
        if "$ref" in each:
            yield each["$ref"].rpartition("/")[2]


def as_curl(operation: Operation) -> str:
    """The call as a command."""
    lines = [f"curl --request {operation.method} '{SERVER}{operation.target}'"]
    lines += [f'--header "{name}: {value}"' for name, value in operation.headers()]
    if operation.body is not None:
        quoted = operation.body.replace("'", "'\\''")
        lines.append(f"--data '{quoted}'")
    return " \\\n  ".join(lines)


def as_python(operation: Operation) -> str:
    """The call as a program of the standard library alone."""
    headers = {name: value.replace("$KEY", "KEY") for name, value in operation.headers()}
    body = operation.body
    shown = "" if body is None else pformat(json.loads(body), width=90, sort_dicts=False)
    sent = "None" if body is None else "json.dumps(body).encode()"
    first = "" if body is None else f"body = {shown}\n"
    return f"""import json
from urllib.request import Request, urlopen

{first}request = Request(
    {SERVER + operation.target!r},
    method={operation.method!r},
    headers={headers!r},
    data={sent},
)
with urlopen(request) as answer:
    print(answer.status, answer.read())"""


def form_of(operation: Operation) -> str:
    """A form that sends the call; browsers send no body with GET."""
    body = operation.body
    if operation.method == "GET" and body is not None:
        return ""
    author = dict(operation.headers()).get(AUTHOR, "")
    field = "" if body is None else f'<textarea name="body" aria-label="Body">{escape(body)}</textarea>'
    return f"""<h3>Try it</h3><form data-method="{operation.method}" data-author="{escape(author)}"><div class="row">
<input name="path" class="path" aria-label="Path" value="{escape(operation.target)}"><button>Send</button></div>
{field}<output></output></form>"""
