"""Two stores with a wire between them: whoever can carry a message there, and its answer back, carries the exchange.

    with PeerClient("http://127.0.0.1:8080", key) as peer:
        sync(store, peer.send)

Not here: the wire (`client/exchange.py`), keeping up without end (`follow`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

from crdtstore.replication.exchange import Options, Report, exchange

if TYPE_CHECKING:
    from crdtstore.store import Store

Send: TypeAlias = Callable[[bytes], bytes]
"""Takes a message and returns its answer."""


def sync(store: Store, send: Send, options: Options = Options()) -> Report:  # noqa: B008  frozen
    """Make this store and the one behind a wire know what either knows; this one starts.

    Whatever happens on the way, what was applied before stays, and the next call goes on from there.

    Args:
        store: This store.
        send: Carries a message.
        options: What to do.

    Raises:
        PeerUnreachable: The wire failed.
        ReplicationError: The two do not fit.
    """
    with closing(exchange(store, options)) as talk:
        request = next(talk)
        while True:
            answer = send(request)
            try:
                request = talk.send(answer)
            except StopIteration as end:
                report: Report = end.value
                return report
