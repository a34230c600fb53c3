"""The routes of the change feed."""

from __future__ import annotations

from typing import Final

from crdtstore.errors import FeedCut, LogTrimmed, VersionNotAvailable
from crdtstore.http.described import Described, Kind
from crdtstore.http.event_stream import MEDIA_TYPE
from crdtstore.http.request import CBOR, JSON, JSON_LINES
from crdtstore.http.route import Route
from crdtstore.http.store.changes.answers import ChangesAnswer, CutLine, DocumentChanged, RequeryRequired
from crdtstore.http.store.changes.arguments import ChangesArguments
from crdtstore.http.store.changes.changes import changes
from crdtstore.http.store.version import VERSIONS, Version

FOLLOWING: Final = Kind(
    ("X-DITTO-TXN-ID", "X-DITTO-CLIENT-ID", "Prefer", "Last-Event-ID"), (VersionNotAvailable, LogTrimmed, FeedCut)
)
DESCRIBED: Final = Described(
    None, (ChangesAnswer, DocumentChanged, RequeryRequired, CutLine), FOLLOWING, ChangesArguments
)


def changes_route(version: Version) -> Route:
    """That of one version."""
    return Route(
        f"/api/{version.name}/store/changes",
        ("GET",),
        changes,
        takes_body=False,
        gives=(JSON.media_type, CBOR.media_type, JSON_LINES.media_type, MEDIA_TYPE),
        version=version,
        errors=version.errors,
        described=DESCRIBED,
    )


CHANGES_ROUTES: Final = tuple(changes_route(VERSIONS[name]) for name in ("v4", "v5"))
