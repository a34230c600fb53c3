"""/api/vN/collections/{collection}/documents/{id}: one document, with its entity tag.

Rules: GET answers 304 where the caller has the document already. PATCH merges the fields of the body into the document,
PUT makes it what the body says, DELETE removes it; each is one transaction, which runs only if If-Match and
If-None-Match hold, asked within it. What others write at the same time on other stores is merged in any case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from crdtstore.command.command import Command, Remove, Upsert
from crdtstore.command.result import Written
from crdtstore.errors import MalformedRequest, NotFound, PreconditionFailed
from crdtstore.http.call import Call
from crdtstore.http.headers import actor_of, arguments_of, at_of, txn_of
from crdtstore.http.request import Request
from crdtstore.http.respond import Answer, encode
from crdtstore.http.store.find import FORMS, join
from crdtstore.http.store.resource.tag import conditions_of, tag_of, tags_of
from crdtstore.http.wait import until_done
from crdtstore.query.find import Document, Form

EXACTLY: Final = "_id == $args.id && starts_with(_id, $args.id)"
"""Dates are equal in several spellings; as none of them goes on behind its end, only one begins with the other."""


async def document(call: Call) -> Answer:
    """Read or write the document."""
    return await METHODS[call.request.method](call)


async def read(call: Call) -> Answer:
    """Answer with the document, or say that the caller has it."""
    return await read_as(call, form_of(call.request), join)


async def read_as(call: Call, form: Form, written: Callable[[Document], bytes]) -> Answer:
    """Answer with the document, written this way, or say that the caller has it.

    Raises:
        NotFound: There is none.
        PreconditionFailed: It is not what If-Match names.
    """
    collection, id_ = call.parameters["collection"], call.parameters["id"]
    at = at_of(call.request)
    wanted = tags_of(call.request, b"if-match", weak=False)
    unwanted = tags_of(call.request, b"if-none-match", weak=True)
    await call.until_readable(collection)
    found, digest, txn = await call.in_thread(lambda: call.session.get_with_digest(collection, id_, form=form, at=at))
    if found is None:
        raise NotFound(f"Collection {collection} has no document {id_!r:.60}.", collection=collection)
    if wanted is not None and not wanted.match(digest):
        raise PreconditionFailed(f"Document {id_!r:.60} is not what If-Match names.", collection=collection)
    if unwanted is not None and unwanted.match(digest):
        return Answer(304, b"", txn, (tag_of(digest),))
    return Answer(200, written(found), txn, (tag_of(digest),))


def form_of(request: Request) -> Form:
    """How fields are shown: `serializedAs` in the query string.

    Raises:
        MalformedRequest: There is no such form.
    """
    name = arguments_of(request).get("serializedAs", "latestValues")
    if name not in FORMS:
        raise MalformedRequest(f"`serializedAs` is one of {', '.join(FORMS)}.", argument="serializedAs")
    return FORMS[name]


async def merge(call: Call) -> Answer:
    """Write the fields of the body, and leave all others."""
    return await put(call, ())


async def replace(call: Call) -> Answer:
    """Make the document what the body says: what was there before is removed in the same transaction."""
    return await put(call, (removal(call),))


async def put(call: Call, before: tuple[Command, ...]) -> Answer:
    """Run commands, and write the fields of the body."""
    fields: dict[str, Any] = await call.decode(dict[str, Any])
    written = await write(call, (*before, Upsert(call.parameters["collection"], fields, id=call.parameters["id"])))
    return answer(written, {"id": call.parameters["id"]}, (tag_of(written.digests[0]),))


async def remove(call: Call) -> Answer:
    """Remove the document, if there is one."""
    written = await write(call, (removal(call),))
    return answer(written, {"deleted": written.results[0][0]})


def removal(call: Call) -> Remove:
    """The command that removes the document."""
    return Remove(call.parameters["collection"], EXACTLY, {"id": call.parameters["id"]})


async def write(call: Call, commands: tuple[Command, ...]) -> Written:
    """Run commands as one transaction, on condition."""
    conditions = conditions_of(call.request, call.parameters["collection"], call.parameters["id"])
    pending = call.session.submit(
        commands, actor=actor_of(call.request), after=txn_of(call.request), conditions=conditions
    )
    return await until_done(pending)


def answer(written: Written, told: dict[str, Any], headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """Write what came of a write."""
    body = {**told, "transactionId": written.txn}
    if written.warnings:
        body["warnings"] = written.warnings
    return Answer(200, encode(body), written.txn, headers)


METHODS: Final = {"GET": read, "PATCH": merge, "PUT": replace, "DELETE": remove}
