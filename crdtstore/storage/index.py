"""An index is a stored thing of a collection: what it is made of, how far it is built, what it counts.

    index.covers(id_key(encoded_id))  # whether a document has entries in it now

Rules: its row is in table INDEXES, under its number, and changes in the same commit as its entries. While it is being
built, `built` is the greatest id key that has entries; None says that it is ready. Documents behind `built` have none,
and writes to them make none. One that is being dropped has `built` b"": its entries are as they were and go away in
pieces. A reader takes the rows of its own snapshot (`read_indexes`): the writer's are ahead of it.

Not here: entries (`index_entries`), building and dropping (`index_build`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import msgpack
import msgspec

from crdtstore.crdt.path import encode_path
from crdtstore.errors import Corrupted, InvalidDocument, InvalidIndex, LimitExceeded
from crdtstore.limits import COLLECTION_BYTES_MAX, DEPTH_MAX, INDEX_PATHS_MAX
from crdtstore.storage.tables import Table, decode_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.storage.interface import Snapshot

Kind: TypeAlias = Literal["fields", "conflicts"]
Path: TypeAlias = tuple[str | int, ...]
"""As in a query's tree: keys of objects and indexes of arrays; `_id` is the document's id."""

INDEX_FORMAT: Final = 1
"""Of a row."""

NUMBER_BYTES: Final = 4

WHOLE, ITEM, ANY, RIVALS = range(4)
"""The parts of an index: the values at its paths; further values in arrays; documents to be looked at whatever is
asked; conflicting paths."""

PARTS: Final = 4
PART_NAMES: Final = ("whole", "item", "any", "rivals")

FORMATS = msgspec.msgpack.Decoder(list[Any])
ROWS = msgspec.msgpack.Decoder(
    tuple[int, int, str, Kind, tuple[Path, ...], bytes | None, bool, int, tuple[int, int, int, int], int, bytes]
)


class Index:
    """One index. `counts` are its entries by part; `inexact` are WHOLE entries with a column or an id that is cut.

    `documents` is how many the build has passed. `statistics` is the query layer's, and saved with the rest. `plan` is
    the compiled core's: the definition as it reads it.
    """

    __slots__ = (
        "built",
        "collection",
        "counts",
        "documents",
        "dropping",
        "inexact",
        "kind",
        "name",
        "number",
        "paths",
        "plan",
        "prefix",
        "saved",
        "statistics",
    )

    def __init__(self, number: int, collection: int, name: str, kind: Kind, paths: tuple[Path, ...]) -> None:
        self.number = number
        self.collection = collection
        self.name = name
        self.kind = kind
        self.paths = paths
        self.prefix = number.to_bytes(NUMBER_BYTES, "big")
        self.built: bytes | None = b""
        self.dropping = False
        self.documents = 0
        self.counts = [0] * PARTS
        self.inexact = 0
        self.statistics = b""
        self.saved = b""
        self.plan: object = None

    @property
    def ready(self) -> bool:
        """Whether every document has its entries in it."""
        return self.built is None

    def covers(self, key: bytes) -> bool:
        """Whether the document of an id key has its entries in it."""
        return self.built is None or key <= self.built

    def row(self) -> bytes:
        """What the table keeps of it."""
        built, counts = (self.built, self.dropping, self.documents), self.counts
        packed: bytes = msgpack.packb(
            [
                INDEX_FORMAT,
                self.collection,
                self.name,
                self.kind,
                self.paths,
                *built,
                counts,
                self.inexact,
                self.statistics,
            ]
        )
        return packed


def unpack_index(key: bytes, row: bytes) -> Index:
    """Read a row.

    Raises:
        Corrupted: It is none.
    """
    if len(key) != NUMBER_BYTES or decode_row(FORMATS, Table.INDEXES, key, row)[:1] != [INDEX_FORMAT]:
        raise Corrupted("indexes", key, "it is no index of a format that this version reads")
    _, collection, name, kind, paths, built, dropping, documents, counts, inexact, statistics = decode_row(
        ROWS, Table.INDEXES, key, row
    )
    index = Index(int.from_bytes(key, "big"), collection, name, kind, paths)
    index.built, index.dropping, index.documents = built, dropping, documents
    index.counts, index.inexact, index.statistics = list(counts), inexact, statistics
    index.saved = row
    return index


def read_indexes(snapshot: Snapshot, collection: int | None = None) -> list[Index]:
    """The indexes of a collection, by its number, or of all, as they were committed."""
    indexes = [unpack_index(key, row) for key, row in snapshot.scan(Table.INDEXES)]
    return [index for index in indexes if collection in (None, index.collection)]


# --- definitions ---


def check_definition(name: str, kind: str, paths: Sequence[Path]) -> None:
    """Refuse what no index may be.

    Raises:
        InvalidIndex: Its kind, its paths or its name.
        LimitExceeded: More than INDEX_PATHS_MAX paths, or one that is too deep.
    """
    check_index_name(name)
    if kind not in get_args(Kind):
        raise InvalidIndex(f"An index is of kind {' or '.join(get_args(Kind))}; {kind!r} was given.")
    if bool(paths) != (kind == "fields"):
        raise InvalidIndex("An index of fields has at least one path, one of conflicts has none.")
    if len(paths) > INDEX_PATHS_MAX:
        message = f"An index has at most {INDEX_PATHS_MAX} paths; {len(paths)} were given."
        raise LimitExceeded(message, limit="INDEX_PATHS_MAX", value=len(paths), maximum=INDEX_PATHS_MAX)
    if len(set(paths)) < len(paths):
        raise InvalidIndex("A path stands twice in one index.")
    for path in paths:
        check_path(path)


def check_path(path: Path) -> None:
    """Refuse a path that leads nowhere.

    Raises:
        InvalidIndex: It is empty, or a step is neither a key nor an index.
        LimitExceeded: It has more than DEPTH_MAX steps, or takes more than PATH_BYTES_MAX.
    """
    if not path or not all(isinstance(step, str) or (type(step) is int and step >= 0) for step in path):
        raise InvalidIndex(f"An index's path is keys and indexes of arrays, at least one; {path!r} is none.")
    if len(path) > DEPTH_MAX:
        message = f"A path has {len(path)} steps; at most {DEPTH_MAX} are allowed."
        raise LimitExceeded(message, limit="DEPTH_MAX", value=len(path), maximum=DEPTH_MAX)
    try:
        encode_path(tuple(str(step) for step in path))
    except InvalidDocument as error:
        raise InvalidIndex(error.message) from None


def check_index_name(name: str) -> None:
    """Refuse a name that no index may have; the rules are those of collections' names."""
    size = len(name.encode("utf-8", "replace"))
    if not 0 < size <= COLLECTION_BYTES_MAX or "\0" in name or not name.isprintable():
        message = f"An index's name has 1 to {COLLECTION_BYTES_MAX} bytes in UTF-8, all printable; this has {size}."
        raise InvalidIndex(message)
