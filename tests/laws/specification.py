"""The plain modules of `crdtstore.crdt` as an engine: what they say is held against the oracle, step by step.

Rules: everything that merges is called through its module, so that a test can break it there; this file
only does what `version/` does around it: the next position, the author vector's difference, the checks
before delivery.

Not here: storage, interned numbers, commit groups; see `stores.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias

from crdtstore import errors
from crdtstore.crdt import (
    attachment,
    chain,
    counter,
    document,
    fold,
    join,
    merge,
    path,
    record,
    timestamp,
    value,
    vector,
)
from crdtstore.crdt import operation as real
from crdtstore.crdt.cell import Cell, CellType, mask
from crdtstore.crdt.identifier import decode_id, encode_id
from crdtstore.crdt.stamp import Stamp as RealStamp
from tests.laws.engine import NotCausal, TypeConflict
from tests.laws.operations import (
    ATTACHMENT,
    COUNTER,
    GRAVE,
    MAP,
    REGISTER,
    Attach,
    Bury,
    Flagged,
    Increment,
    Initial,
    Mark,
    Operation,
    Path,
    Put,
    Remove,
    Restart,
    Stamp,
    Value,
    spell,
)

COLLECTION = "laws"
read_record = lru_cache(maxsize=4_096)(record.decode_record)
"""Records are decoded again and again, in every order of delivery."""

TYPES = {
    REGISTER: CellType.REGISTER,
    MAP: CellType.MAP,
    COUNTER: CellType.COUNTER,
    ATTACHMENT: CellType.ATTACHMENT,
    GRAVE: CellType.GRAVE,
}
NAMES = {kind: name for name, kind in TYPES.items()}


Contents: TypeAlias = tuple[tuple[bytes, tuple[Cell, ...], tuple[str, ...]], ...]
"""Documents by encoded id: cells in the order in which the merge left them, and the text of their amounts."""


class Look(NamedTuple):
    """What is compared of a store."""

    canonical: bytes
    visible: dict[str, Value]
    digest: bytes


@dataclass(slots=True)
class Store:
    """Documents by encoded id, and how far each origin's log is known."""

    origin: bytes
    clock: int
    documents: dict[bytes, list[Cell]] = field(default_factory=dict)
    reached: dict[bytes, vector.Reached] = field(default_factory=dict)
    authors: dict[bytes, dict[bytes, vector.Reached]] = field(default_factory=dict)

    def contents(self) -> Contents:
        """The documents, as something to remember by: amounts by their text too, since 1 == 1.0."""
        return tuple(
            (id_, tuple(cells), tuple([repr(total.amount) for cell in cells for total in cell.totals]))
            for id_, cells in sorted(self.documents.items())
        )

    def reached_by(self, origin: bytes) -> vector.Reached:
        """How far one origin's log is known."""
        return self.reached.get(origin, vector.NOWHERE)


class Specification:
    """The engine."""

    name = "specification"

    def __init__(self) -> None:
        self.look = lru_cache(maxsize=65_536)(look_at)

    def open(self, origin: bytes, clock: int) -> Store:
        """An empty store."""
        return Store(origin, clock)

    def close(self, store: Store) -> None:
        """Nothing is held."""

    def originate(self, store: Store, actor: bytes, operations: Sequence[Operation]) -> bytes:
        """Fold the operations by document, write the record, apply it like any other."""
        greatest = vector.greatest_timestamp(store.reached)
        stamp = RealStamp(timestamp.next_timestamp(store.clock, greatest), actor, store.origin)
        author = {**store.reached}

        def is_observed(other: RealStamp) -> bool:
            return vector.is_covered(author, other)

        folds: dict[bytes, fold.Fold] = {}
        for operation in operations:
            id_ = encode_id(operation.path[0])
            folding = folds.setdefault(id_, fold.Fold())
            before = store.documents.get(id_, [])
            try:
                fold_operation(
                    folding,
                    operation,
                    stamp,
                    partial(merge.merge, before, folding.operations(), stamp, is_observed),
                )
            except errors.TypeConflict as error:
                raise TypeConflict(error) from None
        observed = vector.difference(author, {**store.authors.get(store.origin, {}), store.origin: vector.NOWHERE})
        observed.pop(store.origin, None)
        changes = [(COLLECTION, id_, record.encode_operations(it.operations())) for id_, it in folds.items()]
        data = record.encode_record(stamp, store.reached_by(store.origin).position + 1, observed, changes)
        self.apply(store, data)
        return data

    def deliver(self, store: Store, data: bytes) -> bool:
        """Apply a record once it is due."""
        given = read_record(data)
        known = store.reached_by(given.origin)
        if given.position <= known.position:
            return False
        if given.position > known.position + 1 or vector.missing_from(store.reached, given.observed) is not None:
            raise NotCausal(given)
        self.apply(store, data)
        return True

    def apply(self, store: Store, data: bytes) -> None:
        """Merge a record and enter it into the vectors."""
        given = read_record(data)
        before = store.reached_by(given.origin)
        author = store.authors.setdefault(given.origin, {})
        author.update(given.observed)
        observed = {**author, given.origin: before}
        for change in given.changes:
            cells = merge.merge(
                store.documents.get(change.id, []),
                change.operations,
                given.stamp,
                lambda stamp: vector.is_covered(observed, stamp),
            )
            store.documents[change.id] = cells
        digest = chain.chain_digest(before.digest, data)
        store.reached[given.origin] = vector.Reached(given.position, given.timestamp, digest)

    def deliver_all(self, store: Store, records: Sequence[bytes]) -> None:
        """Apply records one after the other."""
        for data in records:
            self.deliver(store, data)

    def copy(self, store: Store) -> Store:
        """Another store that holds and knows the same."""
        authors = {origin: {**author} for origin, author in store.authors.items()}
        return replace(store, documents={**store.documents}, reached={**store.reached}, authors=authors)

    def join(self, store: Store, other: Store) -> None:
        """Join every document that either holds, then what the two know."""
        for id_ in {*store.documents, *other.documents}:
            ours, theirs = store.documents.get(id_, []), other.documents.get(id_, [])
            store.documents[id_] = join.join(ours, theirs, store.reached, other.reached)
        authors = join.join_authors(store.authors, other.authors, store.reached, other.reached)
        store.authors = {origin: {**author} for origin, author in authors.items()}
        store.reached = join.join_vectors(store.reached, other.reached)

    def knowledge(self, store: Store) -> object:
        """The vector, and the author vectors of those who had seen others."""
        return store.reached, {origin: author for origin, author in store.authors.items() if author}

    def stamp(self, data: bytes) -> Stamp:
        """The record's stamp."""
        return Stamp(*read_record(data).stamp)

    def canonical(self, store: Store) -> bytes:
        """The cells in the harness's notation."""
        return self.look(store.contents()).canonical

    def visible(self, store: Store) -> dict[str, Value]:
        """Every document that exists."""
        return self.look(store.contents()).visible

    def digest(self, store: Store) -> bytes:
        """The sum of the documents' digests."""
        return self.look(store.contents()).digest


def look_at(contents: Contents) -> Look:
    """What the modules make of a store's cells, which depends on nothing else."""
    shown = {decode_id(id_): document.visible(cells) for id_, cells, _ in contents}
    parts = (document.digest(cells, document.digest_key(COLLECTION, id_)) for id_, cells, _ in contents)
    return Look(
        spell(spelled for id_, cells, _ in contents for spelled in spell_cells(id_, cells)),
        {id_: fields for id_, fields in shown.items() if fields is not None},
        (sum(parts) % document.MODULUS).to_bytes(16, "little"),
    )


def fold_operation(
    folding: fold.Fold,
    operation: Operation,
    stamp: RealStamp,
    read: Callable[[], Sequence[Cell]],
) -> None:
    """Take one operation into a document's fold, as commands do; `read` gives the cells by now."""
    place = path.encode_path(operation.path[1:])
    match operation:
        case Put() | Mark() | Restart() | Attach():
            folding.write(write_of(operation))
        case Initial(write):
            folding.write(real.Initial(write_of(write)))
        case Bury():
            folding.bury()
        case Remove():
            folding.remove(place, mask(*(TYPES[kind] for kind in operation.types)))
        case Increment():
            instances = [cell for cell in read() if cell.path == place and cell.type == CellType.COUNTER]
            chosen = counter.choose(instances)
            folding.increment(place, None if chosen == stamp else chosen, operation.amount)


def write_of(operation: Put | Mark | Restart | Attach) -> real.Write | real.Mark | real.Restart | real.Attach:
    """The real operation that writes a cell."""
    place = path.encode_path(operation.path[1:])
    match operation:
        case Put():
            return real.Write(place, value.encode_value(operation.value))
        case Mark():
            return real.Mark(place)
        case Restart():
            return real.Restart(place, operation.start)
        case Attach():
            return real.Attach(place, attachment.encode_token({"id": operation.value, "len": 0}))


def spell_cells(encoded_id: bytes, cells: Sequence[Cell]) -> Iterator[tuple[Path, str, Stamp, Value]]:
    """A document's cells for the harness's notation."""
    for cell in cells:
        content: Value = value.decode_value(cell.value) if cell.value else None
        if cell.type == CellType.COUNTER:
            totals = {(it.stamp.actor, it.stamp.origin): (Stamp(*it.stamp), it.amount) for it in cell.totals}
            kind = "initial" if cell.initial else "explicit" if cell.explicit else "implicit"
            content = (kind, content, totals)
        elif cell.type == CellType.ATTACHMENT:
            content = content["id"]
        if cell.initial and cell.type != CellType.COUNTER:
            content = Flagged(content)
        yield (
            (decode_id(encoded_id), *path.decode_path(cell.path)),
            NAMES[cell.type],
            Stamp(*cell.stamp),
            content,
        )
