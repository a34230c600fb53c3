"""The routes of the store API, version by version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from crdtstore.command.parse import NamedWriteRequest, WriteRequest
from crdtstore.http.described import READING, STATEMENTS, WRITING, Described
from crdtstore.http.request import CBOR, JSON, LINES
from crdtstore.http.route import Route
from crdtstore.http.store import answers, examples
from crdtstore.http.store.count import CountBody, count
from crdtstore.http.store.execute import ExecuteBody, execute
from crdtstore.http.store.find import FindBody, UnsortedBody, find
from crdtstore.http.store.findbyid import FindByIdBody, PlainBody, findbyid
from crdtstore.http.store.remote_execute import RemoteExecuteBody, remote_execute
from crdtstore.http.store.version import VERSIONS, Version
from crdtstore.http.store.write import write

READS: Final = ("GET", "POST")
EITHER: Final = (JSON.media_type, CBOR.media_type)


def document_routes(version: Version) -> tuple[Route, ...]:
    """What every version from the second on has."""
    route = maker(version)
    written = answers.FullWriteAnswer if version.all_counts else answers.WriteAnswer
    line = answers.DocumentAnswer
    asked = Described(UnsortedBody, answers.FindAnswer, READING, example=examples.FIND, line=line)
    if version.sorts:
        asked = Described(FindBody, answers.PageAnswer, READING, example=examples.FIND_SORTED, line=line)
    found = answers.FoundByIdAnswer if version.document_inside else answers.FoundAnswer
    asked_by_id = FindByIdBody if version.sorts else PlainBody
    taken = (WriteRequest, NamedWriteRequest)
    return (
        route("write", ("POST",), write, described=Described(taken, written, WRITING, example=examples.WRITE)),
        route("find", READS, find, gives=(*EITHER, *LINES), described=asked),
        route(
            "findbyid", READS, findbyid, described=Described(asked_by_id, found, READING, example=examples.FIND_BY_ID)
        ),
    )


def statement_routes(version: Version) -> tuple[Route, ...]:
    """What versions from the fourth on have too."""
    route = maker(version)
    counted = Described(CountBody, answers.CountAnswer, READING, example=examples.COUNT)
    given = (answers.StatementAnswer, answers.StatementsAnswer)
    executed = Described(ExecuteBody, given, STATEMENTS, example=examples.EXECUTE, line=dict[str, Any])
    return (
        route("count", READS, count, described=counted),
        route("execute", ("POST",), execute, errors="statement", gives=(JSON.media_type, *LINES), described=executed),
        route(
            "remote_execute",
            ("POST",),
            remote_execute,
            path=f"/api/{version.name}/sync/remote_execute",
            described=Described(RemoteExecuteBody, answers.RemoteAnswer, READING, example=examples.REMOTE_EXECUTE),
        ),
    )


def maker(version: Version) -> Callable[..., Route]:
    """What makes the routes of a version."""

    def make(name: str, methods: tuple[str, ...], endpoint: Any, **more: Any) -> Route:
        route = Route(
            f"/api/{version.name}/store/{name}",
            methods,
            endpoint,
            forms=(version.payload,),
            gives=EITHER,
            version=version,
            errors=version.errors,
        )
        return route._replace(**more)

    return make


STORE_ROUTES: Final = (
    *(route for name in ("v2", "v3", "v4", "v5") for route in document_routes(VERSIONS[name])),
    *(route for name in ("v4", "v5") for route in statement_routes(VERSIONS[name])),
)
