"""What of an answer depends on who asked: its media type, and whether it is one that was given before.

Rules: endpoints write JSON, or what only they can write; another type is made of that.

Not here: which type a caller wants (`negotiate`), what CBOR is here (`cbor`).
"""

from __future__ import annotations

from typing import Final

from crdtstore.http.call import Call
from crdtstore.http.cbor import json_as_cbor
from crdtstore.http.request import CBOR
from crdtstore.http.respond import Answer

REPLAYED: Final = (b"idempotency-replayed", b"true")


async def represent(call: Call, answer: Answer) -> Answer:
    """Give an answer in the media type that its caller prefers; one that was given before says so."""
    if call.session.once is not None and call.session.once.repeated:
        answer = answer.but(headers=(*answer.headers, REPLAYED))
    chosen = call.preferred
    if chosen == answer.media_type or chosen != CBOR.media_type or not answer.body:
        return answer
    body = await call.in_thread(lambda: json_as_cbor(answer.body))
    return answer.but(body=body, media_type=chosen)
