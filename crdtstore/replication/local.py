"""Two stores of one process, exchanging without a wire between them: the messages are the same."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from crdtstore.replication.answer import Later, answer
from crdtstore.replication.exchange import Options, Report, exchange
from crdtstore.replication.pins import Pins

if TYPE_CHECKING:
    from crdtstore.store import Store


def sync(store: Store, other: Store, options: Options = Options()) -> Report:  # noqa: B008  frozen
    """Make two stores know what either knows; `store` starts.

    Raises:
        ReplicationError: They do not fit; what was applied before stays.
    """
    talk = exchange(store, options)
    with closing(Pins()) as pins:
        request = next(talk)
        while True:
            given = answer(other, request, pins)
            if isinstance(given, Later):
                given = answer(other, request, pins, waited=True)
            try:
                request = talk.send(given if isinstance(given, bytes) else b"")
            except StopIteration as end:
                report: Report = end.value
                return report
