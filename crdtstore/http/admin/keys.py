"""/admin/keys: the API keys of the store, managed by the bearers of keys that may do everything.

Rules: an endpoint asks `call.keys` first, which refuses all others. All of it runs in a thread: a new key is hashed. A
key in plain text is answered once, to who made or rotated it; answers are never kept by caches. What is changed holds
from the next request on.

Not here: what is asked and told of keys (`crdtstore/auth/keys.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from crdtstore.auth.explained import AskedDocument, ExplainedDocument
from crdtstore.auth.keys import Changes, KeyList, KeyView, MadeKey, NewKey, Revoked, Rotation
from crdtstore.errors import NotFound, UnsupportedPermission
from crdtstore.http.call import Call
from crdtstore.http.described import Described
from crdtstore.http.respond import Answer, encode
from crdtstore.http.route import Route

Endpoint = Callable[[Call], Awaitable[Answer]]


async def all_keys(call: Call) -> Answer:
    """List the keys, or make one."""
    return await ALL_KEYS[call.request.method](call)


async def listing(call: Call) -> Answer:
    """Answer with what is known of every key."""
    keys = call.keys
    return await told(call, lambda: KeyList(keys.list()))


async def create(call: Call) -> Answer:
    """Make a key."""
    keys, asked = call.keys, await call.decode(NewKey)
    return await told(call, lambda: keys.create(asked))


async def one_key(call: Call) -> Answer:
    """Explain a key, or revoke it."""
    return await ONE_KEY[call.request.method](call)


async def explain(call: Call) -> Answer:
    """Answer with what a key may do, and what else is known of it."""
    keys, prefix = call.keys, call.parameters["prefix"]
    return await told(call, lambda: keys.explain(prefix))


async def revoke(call: Call) -> Answer:
    """Forget a key, so that nobody is let in with it any more."""
    keys, prefix = call.keys, call.parameters["prefix"]
    await call.in_thread(lambda: keys.revoke(prefix))
    return Answer(200, encode(Revoked(prefix)))


async def rotate(call: Call) -> Answer:
    """Put a new key in the place of one, and take the old one for a while, too."""
    keys, prefix, asked = call.keys, call.parameters["prefix"], await call.decode(Rotation)
    return await told(call, lambda: keys.rotate(prefix, asked))


async def explain_document(call: Call) -> Answer:
    """Say what a key may do with a document, and which rule decides."""
    keys, prefix, asked = call.keys, call.parameters["prefix"], await call.decode(AskedDocument)
    return await told(call, lambda: keys.explain_document(prefix, asked))


async def key_changes(call: Call) -> Answer:
    """Answer with what became of keys, the oldest change first."""
    keys = call.keys
    return await told(call, lambda: Changes(keys.changes()))


async def told(call: Call, ask: Callable[[], Any]) -> Answer:
    """Answer with what is found in a thread."""
    return await call.in_thread(lambda: Answer(200, encode(ask())))


ALL_KEYS: Final[Mapping[str, Endpoint]] = MappingProxyType({"GET": listing, "POST": create})
ONE_KEY: Final[Mapping[str, Endpoint]] = MappingProxyType({"GET": explain, "DELETE": revoke})
EXAMPLE: Final = {
    "name": "report",
    "description": "reads the figures of each night",
    "permissions": {"read": {"everything": False, "queriesByCollection": {"cities": ["true"]}}},
    "expiresAt": "2099-01-31T00:00:00Z",
}

KEY_ROUTES: Final = (
    Route(
        "/admin/keys",
        tuple(ALL_KEYS),
        all_keys,
        takes_body=False,
        described={
            "GET": Described(gives=KeyList, summary="Answer with what is known of every key."),
            "POST": Described(NewKey, MadeKey, errors=(UnsupportedPermission,), example=EXAMPLE, summary="Make a key."),
        },
    ),
    Route(
        "/admin/keys/{prefix}",
        tuple(ONE_KEY),
        one_key,
        takes_body=False,
        described={
            "GET": Described(gives=KeyView, errors=(NotFound,), summary="Answer with what is known of a key."),
            "DELETE": Described(gives=Revoked, errors=(NotFound,), summary="Revoke a key."),
        },
    ),
    Route(
        "/admin/keys/{prefix}/rotate",
        ("POST",),
        rotate,
        described=Described(Rotation, MadeKey, errors=(NotFound,), example={"oldValidSeconds": 3600}),
    ),
    Route(
        "/admin/keys/{prefix}/explain",
        ("POST",),
        explain_document,
        described=Described(
            AskedDocument, ExplainedDocument, errors=(NotFound,), example={"collection": "notes", "id": "plan"}
        ),
    ),
    Route("/admin/key-changes", ("GET",), key_changes, takes_body=False, described=Described(gives=Changes)),
)
