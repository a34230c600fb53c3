"""The routes of live queries."""

from __future__ import annotations

from typing import Final

from crdtstore.errors import StatementTimeout, VersionNotAvailable
from crdtstore.http.described import Described, Kind
from crdtstore.http.event_stream import MEDIA_TYPE
from crdtstore.http.route import Route
from crdtstore.http.store import examples
from crdtstore.http.store.live.answers import CutEvent, DiffEvent, RowsEvent
from crdtstore.http.store.live.arguments import LiveArguments, LiveBody
from crdtstore.http.store.live.live import live
from crdtstore.http.store.version import VERSIONS, Version

OBSERVING: Final = Kind(
    ("X-DITTO-TXN-ID", "X-DITTO-CLIENT-ID", "Prefer", "Last-Event-ID"), (VersionNotAvailable, StatementTimeout)
)
GIVES: Final = (RowsEvent, DiffEvent, CutEvent)
DESCRIBED: Final = {
    "GET": Described(None, GIVES, OBSERVING, LiveArguments),
    "POST": Described(LiveBody, GIVES, OBSERVING, example=examples.FIND_SORTED),
}


def live_route(version: Version) -> Route:
    """That of one version."""
    return Route(
        f"/api/{version.name}/store/live",
        ("GET", "POST"),
        live,
        takes_body=False,
        forms=(version.payload,),
        gives=(MEDIA_TYPE,),
        version=version,
        errors=version.errors,
        described=DESCRIBED,
    )


LIVE_ROUTES: Final = tuple(live_route(VERSIONS[name]) for name in ("v4", "v5"))
