"""/api/v1/collections: documents as resources.

Rules: a write is answered 202 and is on disk by then. POST merges: fields that are not given stay. Every write is made
with the newest state in sight, so `X-DITTO-ENSURE-INSERT` and `X-DITTO-ENSURE-DELETE` are checked and hold anyway. An
id in a path is a string. Entity tags and conditions are those of later versions (`crdtstore.http.store.resource`).

Not here: the lines of a listing (`crdtstore.http.lines`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from crdtstore import limits
from crdtstore.auth.session import Session
from crdtstore.command.command import Command, Upsert
from crdtstore.errors import MalformedRequest
from crdtstore.http.call import Call
from crdtstore.http.headers import arguments_of, at_of, required_actor_of
from crdtstore.http.lines import Lines, answer_lines
from crdtstore.http.request import Request
from crdtstore.http.respond import Answer, encode
from crdtstore.http.store.resource import document as resource
from crdtstore.http.store.v1.raw import raw

ENSURE: Final = (b"x-ditto-ensure-insert", b"x-ditto-ensure-delete")
FLAGS: Final = (b"true", b"false")


async def collections(call: Call) -> Answer:
    """List the collections that the caller may read."""
    await call.until_readable()
    txn = call.session.applied
    return Answer(200, encode({"collections": await call.in_thread(call.session.collections)}), txn)


async def documents(call: Call) -> Answer:
    """List the documents of a collection that match, one a line.

    Raises:
        MalformedRequest: An argument is not what it should be.
    """
    arguments = arguments_of(call.request)
    limit = number_of(arguments, "limit", limits.FIND_LIMIT_DEFAULT)
    seconds = seconds_of(arguments)
    check_whole(arguments)
    collection, at = call.parameters["collection"], at_of(call.request)
    await call.until_readable(collection)
    query = arguments.get("find") or "true"
    return await answer_lines(call, listed(call.session, collection, query, limit, at, seconds), seconds)


@contextmanager
def listed(
    session: Session, collection: str, query: str, limit: int, at: int | None, seconds: float
) -> Iterator[Lines]:
    """The documents as lines."""
    with session.matching(collection, query, limit=limit, at=at, seconds=seconds) as found:
        yield Lines(found.txn, (raw(each) + b"\n" for each in found.documents))


def number_of(arguments: Mapping[str, str], name: str, default: int) -> int:
    """A number of the query string; an empty one is none.

    Raises:
        MalformedRequest: It is not a natural number.
    """
    text = arguments.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) <= len(str(limits.INT_MAX))):
        raise MalformedRequest(f"`{name}` is a number from 0, in decimal digits.", argument=name)
    return int(text) if text else default


def seconds_of(arguments: Mapping[str, str]) -> float:
    """How long a listing may take: what the caller gives it, never more than the server does."""
    most = int(limits.LISTING_SECONDS_MAX * 1_000)
    return min(number_of(arguments, "timeout_millis", most), most) / 1_000


def check_whole(arguments: Mapping[str, str]) -> None:
    """Refuse a part of a collection by time.

    Raises:
        MalformedRequest: `start` or `end` is given.
    """
    for name in ("start", "end"):
        if arguments.get(name):
            message = f"Documents have no time of their own, so `{name}` means nothing; compare a field in `find`."
            raise MalformedRequest(message, argument=name)


async def document(call: Call) -> Answer:
    """Read, merge into or remove one document."""
    return await METHODS[call.request.method](call)


async def read(call: Call) -> Answer:
    """Answer with the document."""
    return await resource.read_as(call, "values", raw)


async def merge(call: Call) -> Answer:
    """Write the fields of the body; a document that is not there is made of them."""
    fields: dict[str, Any] = await call.decode(dict[str, Any])
    return await write(call, Upsert(call.parameters["collection"], fields, id=call.parameters["id"]))


async def remove(call: Call) -> Answer:
    """Remove the document, if there is one."""
    return await write(call, resource.removal(call))


async def write(call: Call, command: Command) -> Answer:
    """Run a command as one transaction, on condition, and answer once it is on disk."""
    required_actor_of(call.request)
    check_ensured(call.request)
    written = await resource.write(call, (command,))
    return Answer(202, encode({"txn_id": written.txn}), written.txn)


def check_ensured(request: Request) -> None:
    """Check the headers by which a caller asks for what holds anyway.

    Raises:
        MalformedRequest: One is neither `true` nor `false`.
    """
    for name in ENSURE:
        if request.headers.get(name, b"false").lower() not in FLAGS:
            raise MalformedRequest(f"{name.decode().upper()} is true or false.")


METHODS: Final = {"GET": read, "POST": merge, "DELETE": remove}
