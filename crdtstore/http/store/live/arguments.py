"""What is asked of a live query: a body as that of a find, or the same in the query string.

Rules: who reads Server-Sent Events in a page can send no body, so all of it can stand in the query string: paths as a
list with commas, `sort` with a minus before those that descend, `args` as JSON. A body counts more.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from crdtstore import limits
from crdtstore.http.call import misfit, parse_json
from crdtstore.http.headers import arguments_of
from crdtstore.http.request import Request
from crdtstore.http.store.find import Natural, SerializedAs, SortKey

Language: TypeAlias = Literal["legacy", "rql", "platform"]


class LiveBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request; keys that are not named here are tolerated."""

    collection: str
    query: str = "true"
    language: Language = "legacy"
    args: dict[str, Any] | None = None
    sort: tuple[SortKey, ...] = ()
    limit: Natural = limits.FIND_LIMIT_DEFAULT
    offset: Natural | None = None
    fields: tuple[str, ...] | None = None
    serialized_as: SerializedAs = "latestValues"


class LiveArguments(msgspec.Struct, rename="camel"):
    """The same in the query string."""

    collection: str
    query: str = "true"
    language: Language = "legacy"
    args: str | msgspec.UnsetType = msgspec.UNSET
    sort: str | msgspec.UnsetType = msgspec.UNSET
    limit: Natural = limits.FIND_LIMIT_DEFAULT
    offset: Natural | msgspec.UnsetType = msgspec.UNSET
    fields: str | msgspec.UnsetType = msgspec.UNSET
    serialized_as: SerializedAs = "latestValues"


def read_arguments(request: Request) -> LiveBody:
    """Read the query string.

    Raises:
        MalformedRequest: A name is missing, or has a value that it cannot have.
        MalformedJson: `args` is none.
    """
    given: dict[str, Any] = dict(arguments_of(request, ("sort", "fields")))
    if "args" in given:
        given["args"] = parse_json(given["args"].encode(), dict[str, Any])
    for name in ("sort", "fields"):
        if name in given:
            given[name] = [path for path in given[name].split(",") if path]
    given["sort"] = [key_of(path) for path in given.get("sort", ())]
    try:
        return msgspec.convert(given, LiveBody, strict=False)
    except msgspec.ValidationError as error:
        raise misfit(error, LiveBody) from None


def key_of(path: str) -> dict[str, str]:
    """A key of an order, as a body has it."""
    return {"property": path.removeprefix("-"), "direction": "desc" if path.startswith("-") else "asc"}
