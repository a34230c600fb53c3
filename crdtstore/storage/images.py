"""Stored images: documents before and after a transaction, kept beside the log for collections that ask for it.

Rules: a row stands for one document that a transaction of the log names, in the order of its record, and is written in
the commit of the transaction. Of a collection with `both` it has the document's bytes before and after, with `new`
those after, and whether there was a document before. A transaction that changed nothing of a document has a row that
says so. Images are trimmed with the log. Which collections ask is one row of META; it is not replicated.

Not here: how images are made (`crdtstore/feed/images.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, cast, get_args

import msgspec

from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.errors import InvalidValue
from crdtstore.storage.log import txn_key
from crdtstore.storage.stored_format import WITH_IMAGES, raise_format
from crdtstore.storage.tables import Table, decode_row

if TYPE_CHECKING:
    from crdtstore.storage.interface import Batch, Snapshot
    from crdtstore.storage.verify_finding import View

ChangeImages: TypeAlias = Literal["none", "new", "both"]
Kept: TypeAlias = Literal["new", "both"]

IMAGES_KEY: Final = b"change-images"
NUMBER_BYTES: Final = 4
KEY_BYTES: Final = 8 + NUMBER_BYTES

SETTINGS: Final = msgspec.msgpack.Decoder(dict[str, Kept])
ROWS: Final = msgspec.msgpack.Decoder(tuple[int, bytes, bytes | None, bytes | None])


class Image(NamedTuple):
    """A document before and after, empty where there was none; None is not kept, and twice that nothing changed."""

    collection: int
    id: bytes
    before: bytes | None
    after: bytes | None


def read_settings(snapshot: Snapshot) -> dict[str, Kept]:
    """Which collections ask for images; the others do not."""
    row = snapshot.get(Table.META, IMAGES_KEY)
    return {} if row is None else decode_row(SETTINGS, Table.META, IMAGES_KEY, row)


def chosen(images: str) -> ChangeImages:
    """Read which images are to be kept.

    Raises:
        InvalidValue: It is none of `none`, `new` and `both`.
    """
    if images not in get_args(ChangeImages):
        raise InvalidValue(f"Images of changes are one of {', '.join(get_args(ChangeImages))}; got {images!r:.40}.")
    return cast("ChangeImages", images)


def put_setting(batch: Batch, collection: str, images: ChangeImages) -> None:
    """Say which images of a collection are kept."""
    settings = read_settings(batch)
    if images == "none":
        settings.pop(collection, None)
    else:
        settings[collection] = images
        raise_format(batch, WITH_IMAGES)
    batch.put(Table.META, IMAGES_KEY, msgspec.msgpack.encode(settings))


def image_key(txn: int, number: int) -> bytes:
    """The key of the image of a transaction's document."""
    return txn_key(txn) + number.to_bytes(NUMBER_BYTES, "big")


def put_image(batch: Batch, txn: int, number: int, image: Image) -> None:
    """Keep an image."""
    batch.put(Table.IMAGES, image_key(txn, number), msgspec.msgpack.encode(image))


def read_images(snapshot: Snapshot, txn: int) -> dict[tuple[int, bytes], Image]:
    """The images of a transaction, by collection and id."""
    rows = snapshot.scan(Table.IMAGES, txn_key(txn), txn_key(txn + 1))
    images = (Image(*decode_row(ROWS, Table.IMAGES, key, row)) for key, row in rows)
    return {(image.collection, image.id): image for image in images}


def trim_images(batch: Batch, until: int) -> None:
    """Forget the images of transactions up to one."""
    for key in [key for key, _ in batch.scan(Table.IMAGES, b"", txn_key(until + 1))]:
        batch.delete(Table.IMAGES, key)


def check_settings(row: bytes) -> Mapping[str, Kept]:
    """Read the row of META, for verifying."""
    return SETTINGS.decode(row)


def check_image(view: View, key: bytes, value: bytes) -> str | None:
    """What is wrong with a row; None if nothing is."""
    image = Image(*ROWS.decode(value))
    collections = view.catalog.collections
    if len(key) != KEY_BYTES:
        return f"The key has {len(key)} bytes; keys of this table have {KEY_BYTES}."
    if not view.log.first <= int.from_bytes(key[:8], "big") <= view.log.newest:
        return "It is the image of a transaction that is not in the log."
    if image.collection >= len(collections):
        return f"Its collection {image.collection} does not exist."
    for document in (image.before, image.after):
        if document:
            unpack_document(document, collections[image.collection].paths, view.catalog.replicas)
    return None
