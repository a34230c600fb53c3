"""Walking a table row by row, past rows that are damaged, and the tables of names.

Rules: a row whose seal does not match is a finding, and the walk goes on behind it. Where LMDB cannot follow its
pages, the rest of the table is out of reach: a finding, and the next table has its turn. At the end the rows are
counted, so that rows which a damaged page hides are missed. The names are collected as far as they are there, with
something in the place of each that is missing, so that the others keep their numbers.

Not here: documents (`verify_documents`), the log (`verify_log`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgpack

from crdtstore.crdt.path import is_path
from crdtstore.errors import Corrupted, CrdtStoreError, StoreError
from crdtstore.limits import ACTOR_BYTES, KEY_BYTES_MAX
from crdtstore.storage.catalog import Collection, check_collection_name, number_key
from crdtstore.storage.identity import ORIGIN_KEY, SCOPE_KEY
from crdtstore.storage.images import IMAGES_KEY, check_image, check_settings
from crdtstore.storage.range_stale import STATE_KEY, unpack_state
from crdtstore.storage.tables import Table, table_name

if TYPE_CHECKING:
    from crdtstore.storage.verify_finding import View

DAMAGE: Final = (
    CrdtStoreError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    struct.error,
    msgpack.UnpackException,
)
"""What decoding bytes of another form may raise."""


def walk(view: View, table: Table) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a table that are whole; what is wrong with the others is reported."""
    seen, start = 0, b""
    while True:
        snapshot = view.snapshot
        try:
            for key, value in snapshot.scan(table, start):
                seen, start = seen + 1, key + b"\0"
                view.progress(table_name(table), 1, len(key) + len(value))
                yield key, value
            break
        except StoreError as error:
            if view.snapshot is not snapshot and len(start) <= KEY_BYTES_MAX:
                continue  # another table's damage ended the snapshot: go on in the new one
            if not isinstance(error, Corrupted) or not can_pass(error, start):
                view.report("pages", table_name(table), start[:-1], f"The rest of the table is lost: {error.message}")
                view.revive()
                return
            view.report("seal", table_name(table), error.key, error.message)
            seen, start = seen + 1, error.key + b"\0"
    check_count(view, table, seen)


def can_pass(error: Corrupted, start: bytes) -> bool:
    """Whether one row is altered, and not the pages in which rows lie, and a walk can go on behind it."""
    is_seal = error.message == Corrupted(error.table, error.key).message
    return is_seal and start <= error.key and len(error.key) < KEY_BYTES_MAX


def check_count(view: View, table: Table, seen: int) -> None:
    """Compare the rows that were met with those that the table says it has."""
    try:
        told = view.snapshot.count(table)
    except StoreError as error:
        view.report("pages", table_name(table), b"", error.message)
        view.revive()
        return
    if told != seen:
        view.report("rows", table_name(table), b"", f"The table says that it has {told:,} rows; {seen:,} were met.")


def check_rows(view: View, table: Table, check: Callable[[bytes, bytes], str | None]) -> None:
    """Walk a table and hold each row to a rule, which says what is wrong or raises."""
    for key, value in walk(view, table):
        try:
            wrong = check(key, value)
        except DAMAGE as error:
            wrong = f"The row cannot be read: {error}."
        if wrong:
            view.report("value", table_name(table), key, wrong)


def check_key_bytes(view: View, table: Table, key: bytes, size: int) -> bool:
    """Whether a key has the size that its table's keys have; a finding if not."""
    if len(key) != size:
        view.report("key", table_name(table), key, f"The key has {len(key)} bytes; keys of this table have {size}.")
    return len(key) == size


# --- small tables ---


def check_meta(view: View) -> None:
    """The rows of META that this version knows; others are sealed, and of later versions."""
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"format": lambda row: msgpack.unpackb(row)["format"],
        ORIGIN_KEY: check_actor_bytes,
        SCOPE_KEY: lambda row: [check_collection_name(name) for name in msgpack.unpackb(row)],
        STATE_KEY: unpack_state,
        IMAGES_KEY: check_settings,
    }
    seen = set()

    def check(key: bytes, value: bytes) -> None:
        seen.add(key)
        readers.get(key, bytes)(value)

    check_rows(view, Table.META, check)
    if ORIGIN_KEY not in seen and view.snapshot.last(Table.ORIGINS) is not None:
        view.report("value", "meta", ORIGIN_KEY, "The store has transactions and no origin.")


def check_actor_bytes(row: bytes) -> None:
    """Hold a row to the size of an origin."""
    if len(row) != ACTOR_BYTES:
        raise ValueError(f"an origin has {ACTOR_BYTES} bytes, this row {len(row)}")


def check_keys(view: View) -> None:
    """The rows of the layers above, whose form is theirs: the seal and the count are what there is to check."""
    for _ in walk(view, Table.KEYS):
        pass


def check_images(view: View) -> None:
    """Images of changes: of transactions that are in the log, and documents that can be read."""
    check_rows(view, Table.IMAGES, partial(check_image, view))


def check_peers(view: View) -> None:
    """Peers: when each was met, up to where it has everything, why it is quarantined."""

    def check(key: bytes, value: bytes) -> str | None:
        check_key_bytes(view, Table.PEERS, key, ACTOR_BYTES)
        met, acknowledged, divergence = msgpack.unpackb(value)
        typed = isinstance(met, int) and isinstance(acknowledged, int) and isinstance(divergence, str)
        return None if typed else "The row of a peer has two numbers and a text."

    check_rows(view, Table.PEERS, check)


# --- names ---


def check_collections(view: View) -> None:
    """Collections: dense numbers, names that may be, each once. Collects them."""
    catalog = view.catalog

    def check(key: bytes, value: bytes) -> str | None:
        if not check_key_bytes(view, Table.COLLECTIONS, key, 4):
            return None
        name, documents, digest, buried = msgpack.unpackb(value)
        fill_collections(view, int.from_bytes(key, "big"))
        twice = name in catalog.by_name
        catalog.add(Collection(len(catalog.collections), name, documents, int.from_bytes(digest, "little"), buried))
        check_collection_name(name)
        return f"Collection {name!r} has two numbers." if twice else None

    check_rows(view, Table.COLLECTIONS, check)


def fill_collections(view: View, number: int) -> None:
    """Put something in the place of collections that are missing before a number."""
    for missing in range(len(view.catalog.collections), number):
        view.report("names", "collections", number_key(missing), f"Collection {missing} is missing.")
        view.catalog.add(Collection(missing, f"missing collection {missing}"))


def check_paths(view: View) -> None:
    """Paths: of a collection that there is, dense, each once and in its encoding. Collects them."""

    def check(key: bytes, value: bytes) -> str | None:
        if not check_key_bytes(view, Table.PATHS, key, 8):
            return None
        number = int.from_bytes(key[:4], "big")
        if number >= len(view.catalog.collections):
            return f"The path belongs to collection {number}, which does not exist."
        names = view.catalog.collections[number].paths
        twice = value in names.numbers
        fill_names(view, "paths", names.texts, key, number_key(number))
        names.texts.append(value)
        names.numbers[value] = len(names.texts) - 1
        if twice:
            return "The path has two numbers."
        return None if is_path(value) else "The path is not in its encoding."

    check_rows(view, Table.PATHS, check)


def check_replicas(view: View) -> None:
    """Replicas: dense, each once, actor and origin. Collects them."""
    replicas = view.catalog.replicas

    def check(key: bytes, value: bytes) -> str | None:
        if not check_key_bytes(view, Table.REPLICAS, key, 4):
            return None
        twice = value in replicas.numbers
        fill_names(view, "replicas", replicas.texts, key, b"")
        replicas.origin_numbers.extend([0] * (len(replicas.texts) - len(replicas.origin_numbers)))
        replicas.texts.append(value)
        replicas.numbers[value] = len(replicas.texts) - 1
        replicas.origin_numbers.append(replicas.origins.intern(value[ACTOR_BYTES:]))
        if twice:
            return "The replica has two numbers."
        return None if len(value) == 2 * ACTOR_BYTES else "A replica is an actor and an origin."

    check_rows(view, Table.REPLICAS, check)


def fill_names(view: View, table: str, texts: list[bytes], key: bytes, prefix: bytes) -> None:
    """Put something in the place of names that are missing before a number: at most as many as a table may lack."""
    number = int.from_bytes(key[-4:], "big")
    missing = number - len(texts)
    if missing > 0:
        first = prefix + number_key(len(texts))
        view.report("names", table, first, f"{missing:,} of the names before number {number:,} are missing.")
        texts.extend(b"missing %024d" % at for at in range(len(texts), min(number, len(texts) + NAMES_FILLED_MAX)))


NAMES_FILLED_MAX: Final = 1 << 20
"""More names than a table may hold: a key that names a greater number is itself the damage."""
