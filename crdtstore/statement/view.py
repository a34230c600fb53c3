"""A view is what a statement reads: a snapshot, or a transaction in progress.

Rules: in a transaction the documents that it touched are as it left them; all others are found as a reader finds them,
in what the transactions before it left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from crdtstore.statement.host import Host
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.draft import Draft
    from crdtstore.storage.interface import Batch, Snapshot


class View(NamedTuple):
    """What is read, the names that its documents use, and the store, for what it tells of itself."""

    snapshot: Snapshot | Batch
    catalog: Catalog
    draft: Draft | None = None
    host: Host | None = None


def view_of(draft: Draft, host: Host | None = None) -> View:
    """What a transaction in progress sees."""
    return View(draft.batch, draft.catalog, draft, host)
