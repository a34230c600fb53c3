"""GET /admin/stats: what the store holds, in numbers, for a key that may do everything.

Rules: the answer is `Stats.as_dict`, key by key. The numbers are read in a thread, since the digest goes through
every collection. It waits for no transaction: it says which one is the newest.

Not here: what the numbers mean (`crdtstore.store.Stats`).
"""

from __future__ import annotations

from crdtstore.auth.session import Session
from crdtstore.http.call import Call
from crdtstore.http.respond import Answer, encode


async def stats(call: Call) -> Answer:
    """Answer with what the store holds, and the transaction that the numbers name."""
    return await call.in_thread(lambda: read(call.session))


def read(session: Session) -> Answer:
    """Read the numbers and write the answer."""
    found = session.stats()
    return Answer(200, encode(found.as_dict()), found.applied)
