"""Images that are kept: for collections that ask for it, each transaction's are stored in its own commit.

Rules: it runs in the thread that commits, after the transactions of a group and before the group is saved, and only
where some collection asks for images. The transactions are merged again on the snapshot from before the group. Where
that cannot be done, after a joined snapshot, there are no images of the transaction.

Not here: rows (`storage/images.py`), the merge (`images`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from crdtstore.crdt.document_bytes import is_grave
from crdtstore.feed.images import Joined, Replay
from crdtstore.storage.catalog import check_collection_name
from crdtstore.storage.images import Image, chosen, put_image, put_setting, read_settings
from crdtstore.storage.log import last_txn, read_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from crdtstore.feed.images import Touched
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.images import ChangeImages, Kept
    from crdtstore.storage.interface import Batch, Storage
    from crdtstore.version.sequencer import Sequencer

    class Host(Protocol):
        """The store, as far as it is needed here."""

        storage: Storage
        sequencer: Sequencer

        def run(self, job: Callable[[Any, Any, Any], Any], size: int = 0, /) -> Any:
            """Run a job in a commit group."""


class KeptImages:
    """Which images of changes a store keeps, and what keeps them."""

    def __init__(self, store: Host) -> None:
        """Go on as the store was set."""
        self.store = store
        self.replay: Replay | None = None
        self.txn = 0
        self.settings = self.all()
        self.follow()

    def follow(self) -> None:
        """Have the writer call here, if there is anything to keep."""
        self.store.sequencer.before_save = self.keep if self.settings else None

    def set(self, collection: str, images: ChangeImages) -> None:
        """Say which images of a collection's changes are kept from now on.

        Args:
            collection: Its name; it need not exist yet.
            images: `none`, `new`: documents as they became, or `both`: as they were before, too.

        Raises:
            InvalidDocument: No collection may have this name.
            InvalidValue: It is none of these.
            StoreReadOnly: The store was opened read-only.
        """
        name, kept = check_collection_name(collection), chosen(images)
        self.store.run(lambda batch, _catalog, _head: put_setting(batch, name, kept))
        self.settings = self.all()
        self.follow()

    def all(self) -> dict[str, Kept]:
        """Which images are kept, by collection; those that keep none are left out."""
        with self.store.storage.snapshot() as snapshot:
            return read_settings(snapshot)

    # --- in the thread that commits ---

    def keep(self, batch: Batch, catalog: Catalog, head: Head) -> None:
        """Store the images of the transactions of a group."""
        settings = self.settings
        with self.store.storage.snapshot() as before:
            since = last_txn(before)
            if since == head.txn:
                return
            if self.replay is None or self.txn != since:
                self.replay = Replay(before, catalog)
            self.replay.begin(before, catalog)
            self.txn = head.txn
            for entry in list(read_entries(batch, since)):
                try:
                    touched = self.replay.apply(entry.record, settings, unchanged=True)
                except Joined:
                    self.replay = None
                    return
                for number, each in enumerate(touched):
                    put_image(batch, entry.txn, number, self.image_of(each, settings))

    @staticmethod
    def image_of(touched: Touched, settings: Mapping[str, Kept]) -> Image:
        """What is kept of a document."""
        collection, id_, before, after = touched
        if before == after:
            return Image(collection.number, id_, None, None)
        both = not before or is_grave(before) or settings[collection.name] == "both"
        return Image(collection.number, id_, before if both else None, after)
