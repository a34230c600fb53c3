"""What a user can call, type or set stands on some page.

Rules: the code is the list (the route table, the commands, the environment variables that the sources read);
a page mentions each one word for word. Errors and bounds are documented where they are defined: see
`tests/tidy`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from crdtstore.cli.group import crdtstore
from crdtstore.http.route import Route
from crdtstore.http.routes import ROUTES
from tests.docs.pages import ROOT, pages

VARIABLE = re.compile(r"\bCRDTSTORE_[A-Z_]+\b")


def missing(words: Iterable[str], text: str) -> list[str]:
    """List the words that do not stand in a text as words of their own; a path may follow a host."""
    return sorted(word for word in set(words) if not re.search(rf"(?:\b|(?=/)){re.escape(word)}(?![\w/])", text))


def text_of_pages() -> str:
    """Return all pages, one after the other."""
    return "\n".join(page.read_text(encoding="utf-8") for page in pages())


def commands(group: click.Group, path: str) -> list[str]:
    """List the commands of a group as they are typed, those of its groups included."""
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        typed = f"{path} {name}"
        found += commands(command, typed) if isinstance(command, click.Group) else [typed]
    return found


def as_documented(route: Route) -> str:
    """The path of a route as pages write it: for all versions at once."""
    return route.path.replace(f"/api/{route.version.name}/", "/api/vN/") if route.version is not None else route.path


def test_every_route_is_documented() -> None:
    assert missing(map(as_documented, ROUTES), text_of_pages()) == []


def test_every_command_is_documented() -> None:
    assert missing(commands(crdtstore, "crdtstore"), text_of_pages()) == []


def test_every_environment_variable_is_documented() -> None:
    sources = [*(ROOT / "crdtstore").rglob("*.py"), ROOT / "setup.py"]
    read = {name for path in sources for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    assert {"CRDTSTORE_BUILD", "CRDTSTORE_CORE"} <= read
    assert missing(read, text_of_pages()) == []


def test_what_is_missing_is_found() -> None:
    assert missing(["/a/b", "/a", "x y", "y"], "see host:80/a/b and x yz") == ["/a", "x y", "y"]
    group = click.Group("g", commands={"a": click.Command("a"), "k": click.Group("k", {"l": click.Command("l")})})
    assert commands(group, "g") == ["g a", "g k l"]
