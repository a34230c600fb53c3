"""System collections: what a store tells of itself, as rows that a SELECT reads like any others.

Rules: nobody writes to them, nor to a collection whose name begins with `__`. Indexes, collections and peers are as in
the snapshot that is read, also of the past; the system's own row and the statements that run are of now.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore._version import __version__
from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.document import DIGEST_BYTES
from crdtstore.errors import InvalidQuery
from crdtstore.indexes import state_of
from crdtstore.limits import REQUEST_TEXT_CHARS_MAX
from crdtstore.query.dql.dates import now
from crdtstore.query.dql.expression_print import print_path
from crdtstore.query.lookup import ID_FIELD
from crdtstore.storage.catalog import read_counts
from crdtstore.storage.index import read_indexes
from crdtstore.storage.peers import read_peers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from crdtstore.indexes import IndexState
    from crdtstore.query.dql.statement import Source
    from crdtstore.statement.host import Host
    from crdtstore.statement.rows import Row
    from crdtstore.statement.view import View

RESERVED_PREFIX: Final = "__"


class SystemCollection(NamedTuple):
    """One of them: its fields, besides `_id`, and what makes its rows."""

    fields: tuple[str, ...]
    rows: Callable[[View], Iterator[Row]]


def check_writable(source: Source) -> None:
    """Refuse to write to what is the store's own.

    Raises:
        InvalidQuery: A system collection, or a name that is reserved.
    """
    if source.system:
        message = f"system:{source.name} is only read."
    elif source.name.startswith(RESERVED_PREFIX):
        message = f"Collections whose names begin with {RESERVED_PREFIX!r} are the store's own: nobody writes to them."
    else:
        return
    raise InvalidQuery(message, reason="reserved-collection", name=source.name)


def rows_of(view: View, name: str) -> Iterator[Row]:
    """The rows of a system collection, each with its `_id` first.

    Args:
        view: What is read.
        name: What stands behind `system:`.

    Raises:
        InvalidQuery: There is none of this name.
    """
    known = SYSTEM_COLLECTIONS.get(name)
    if known is None:
        names = ", ".join(f"system:{each}" for each in SYSTEM_COLLECTIONS)
        message = f"There is no system collection {name!r:.60}; there are {names}."
        raise InvalidQuery(message, reason="unknown-system-collection", name=name, known=list(SYSTEM_COLLECTIONS))
    return known.rows(view)


# --- their rows ---


def index_rows(view: View) -> Iterator[Row]:
    """Every index, in the order in which they were made."""
    counts = read_counts(view.snapshot)
    for index in read_indexes(view.snapshot):
        yield index_row(state_of(index, counts[index.collection]))


def index_row(state: IndexState) -> Row:
    """One index: how far it is, and how large."""
    return {
        ID_FIELD: state.name,
        "collection": state.collection,
        "fields": list(map(print_path, state.paths)),
        "kind": state.kind,
        "state": state.state,
        "entries": state.entries,
        "documents": state.documents,
        "documents_total": state.of,
    }


def collection_rows(view: View) -> Iterator[Row]:
    """Every collection that the store knows, empty ones too, by name."""
    for counts in sorted(read_counts(view.snapshot)):
        collection = view.catalog.by_name[counts.name]
        yield {
            ID_FIELD: counts.name,
            "name": counts.name,
            "documents": counts.living,
            "buried": counts.buried,
            "paths": len(collection.paths.texts),
            "indexes": sum(not index.dropping for index in collection.indexes),
            "digest": counts.digest.to_bytes(DIGEST_BYTES, "little").hex(),
        }


def peer_rows(view: View) -> Iterator[Row]:
    """Every peer that was met."""
    for peer in read_peers(view.snapshot):
        yield {
            ID_FIELD: format_actor(peer.origin),
            "met": now(peer.met),
            "acknowledged": peer.acknowledged,
            "quarantined": bool(peer.divergence),
            "divergence": peer.divergence,
        }


def system_rows(view: View) -> Iterator[Row]:
    """The store itself, in one row."""
    stats = host_of(view).stats().as_dict()
    stats["collections"] = len(stats["collections"])
    origin = bytes.fromhex(stats.pop("origin"))
    yield {ID_FIELD: format_actor(origin), "version": __version__, **stats}


def request_rows(view: View) -> Iterator[Row]:
    """Every statement that runs, this one too, in the order in which they began."""
    for number, request in host_of(view).requests.list():
        yield {
            ID_FIELD: number,
            "statement": request.text[:REQUEST_TEXT_CHARS_MAX],
            "started": now(request.started),
            "seconds": round(request.seconds, 3),
            "examined": request.budget.examined,
        }


def dual_rows(_view: View) -> Iterator[Row]:
    """One row, for expressions that need none."""
    yield {ID_FIELD: 0}


def host_of(view: View) -> Host:
    """The store that is read."""
    if view.host is None:
        raise InvalidQuery("This system collection cannot be read here.", reason="no-store")
    return view.host


SYSTEM_COLLECTIONS: Final[Mapping[str, SystemCollection]] = MappingProxyType(
    {
        "indexes": SystemCollection(
            ("collection", "fields", "kind", "state", "entries", "documents", "documents_total"), index_rows
        ),
        "collections": SystemCollection(("name", "documents", "buried", "paths", "indexes", "digest"), collection_rows),
        "data_sync_info": SystemCollection(("met", "acknowledged", "quarantined", "divergence"), peer_rows),
        "system_info": SystemCollection(
            (
                *("version", "applied", "documents", "collections", "paths", "replicas", "origins", "digest"),
                *("waiting_reads", "bytes_on_disk", "core", "read_only", "scope", "oldest", "retained", "attachments"),
            ),
            system_rows,
        ),
        "active_requests": SystemCollection(("statement", "started", "seconds", "examined"), request_rows),
        "dual": SystemCollection((), dual_rows),
    }
)
