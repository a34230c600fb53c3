"""Remove: take away every document that a query matches.

Rules: what is removed is what the transaction observed; a write that is concurrent to it survives, and the
document with it. No tombstone is left. What is deleted permanently is buried instead: see `crdt/grave.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore.command.result import Removed
from crdtstore.command.select import select
from crdtstore.crdt.path import ROOT

if TYPE_CHECKING:
    from crdtstore.command.command import Remove
    from crdtstore.storage.draft import Draft


def remove(command: Remove, draft: Draft) -> Removed:
    """Run a remove on a draft."""
    documents, denied = select(draft, draft.catalog.intern(command.collection), command.query, command.args)
    for document in documents:
        if command.deletes == "permanent":
            document.fold.bury()
        else:
            document.fold.remove(ROOT)
        document.changed()
    return Removed(len(documents), denied)
