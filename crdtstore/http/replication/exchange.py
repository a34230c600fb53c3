"""POST /api/replication/v1: one message of the exchange in, its answer out.

Rules: what the message demands is checked before the store is touched. What is no message, or is not allowed, is
answered as everywhere; an error of the exchange is a message. The work is done in threads of its own, so that stores
that join hold up no reader. A message that asks to be held is answered when there is something new.

Not here: what a message means (`crdtstore.replication.answer`).
"""

from __future__ import annotations

from functools import partial

from crdtstore.http.call import Call
from crdtstore.http.request import MESSAGE
from crdtstore.http.respond import Answer
from crdtstore.http.wait import until_woken
from crdtstore.replication.answer import Later, answer, demands
from crdtstore.store import Store


async def exchange(call: Call) -> Answer:
    """Answer another store."""
    store, given = await call.in_thread(lambda: begin(call))
    if isinstance(given, Later):
        await until_woken(partial(store.notify, given.txn), given.seconds, call.gone, call.desk.held)
        given = await call.in_thread(lambda: answer(store, call.body, call.desk.pins, waited=True))
    assert isinstance(given, bytes), "Who has waited is answered."
    return Answer(200, given, media_type=MESSAGE.media_type)


def begin(call: Call) -> tuple[Store, bytes | Later]:
    """Check what is demanded, and answer.

    Raises:
        MalformedMessage: The body is no message.
        Forbidden: The key does not allow it.
    """
    store = call.session.for_exchange(*demands(call.body))
    return store, answer(store, call.body, call.desk.pins)
