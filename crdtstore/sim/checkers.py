"""The promises that a world is held to while it runs and when it has settled.

Rules: a check reads stores as any reader does, and compares with the oracle, with another store, or with what the store
itself claims. The first difference ends the world. What is checked at each entry of a log is in `ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgpack

from crdtstore import core
from crdtstore.command.command import Remove, Upsert
from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.document import MODULUS, canonical_cells, canonical_form
from crdtstore.crdt.identifier import decode_id, encode_id
from crdtstore.crdt.operation import INCREMENT
from crdtstore.crdt.path import decode_path
from crdtstore.crdt.scope import Scope, holds
from crdtstore.crdt.value import Value, decode_value
from crdtstore.limits import PINS_MAX, WAITERS_MAX
from crdtstore.sim.oracle import Instance, State, visible
from crdtstore.sim.workload import TALLY, TALLY_FIELD, Drop, Step, collection_of
from crdtstore.store import Store

if TYPE_CHECKING:
    from crdtstore.sim.node import Node
    from crdtstore.sim.world import World

Document = tuple[str, bytes]
"""Collection and encoded id."""

Claim = tuple[Scope, tuple[tuple[int, int], ...]]
"""What a store says that it holds: its scope and vector."""


# --- one document ---


def check_document(world: World, node: Node, collection: str, id_: Value) -> None:
    """Whether a store shows of a document what the oracle says."""
    document = (collection, encode_id(id_))
    expected = visible(world.oracle.state(document, node.history.seen)) if holds(node.scope, collection) else None
    check_shown(world, node, collection, id_, expected)


def check_shown(world: World, node: Node, collection: str, id_: Value, expected: dict[str, Any] | None) -> None:
    """Whether a reader of a store sees what is expected."""
    shown = fields_of(node.running, collection, id_)
    if spelled(shown) != spelled(expected):
        what = f"store {node.number} shows {shown!r} for {id_!r} of {collection}, not {expected!r}"
        world.complain("a document is what its transactions make it", what)


def check_own_write(world: World, node: Node, steps: Sequence[Step]) -> None:
    """Whether the last step of a transaction that was just acknowledged can be seen."""
    step = steps[-1]
    match step:
        case Upsert(collection=collection, id=id_, value=value, value_types=types):
            shown = fields_of(node.running, collection, id_)
            written = {key: field for key, field in value.items() if not isinstance(field, dict) and key not in types}
            is_kept = shown is not None and all(spelled(shown.get(key)) == spelled(it) for key, it in written.items())
        case Remove(collection=collection, args=args):
            is_kept = fields_of(node.running, collection, (args or {})["id"]) is None
        case Drop(collection, id_, path):
            is_kept = field_at(fields_of(node.running, collection, id_), path) is None
        case _:
            return
    if not is_kept:
        world.complain("a client sees its own write", f"store {node.number} does not show {step!r}")


def fields_of(store: Store, collection: str, id_: Value) -> dict[str, Any] | None:
    """What a reader sees of a document."""
    document = store.get(collection, id_)
    return None if document is None else document.fields


def field_at(fields: Any, path: Sequence[str]) -> Any:
    """The field at a path; None where nothing is."""
    for key in path:
        fields = fields.get(key) if isinstance(fields, dict) else None
    return fields


def spelled(value: Any) -> bytes:
    """A value as bytes: 1, 1.0 and True are three values."""
    packed: bytes = msgpack.packb(value)
    return packed


# --- stores against each other, while the world runs ---


def check_stores(world: World) -> None:
    """Whether stores hold what they claim, and those that claim the same hold the same."""
    digests: dict[Claim, tuple[int, bytes]] = {}
    for node in world.nodes:
        if node.is_up:
            check_bounds(world, node)
            check_vector(world, node)
            if not world.parameters.is_forked:
                compare_digests(world, node, digests)


def check_bounds(world: World, node: Node) -> None:
    """Whether nothing grows beyond its bound."""
    assert node.pins is not None
    if len(node.pins.pins) > PINS_MAX or len(node.running.waiters.waiting) > WAITERS_MAX:
        world.complain("buffers are bounded", f"store {node.number} pins {len(node.pins.pins)} snapshots")


def check_vector(world: World, node: Node) -> None:
    """Whether a store claims what its log amounts to: no more, no less."""
    vector = node.running.sequencer.head.vector
    claimed = {world.ledger.number_of(origin): reached.position for origin, reached in vector.items()}
    if claimed != {number: position for number, position in node.history.seen.items() if position}:
        what = f"store {node.number} claims {claimed}, its log amounts to {node.history.seen}"
        world.complain("a vector claims what is held", what)


def compare_digests(world: World, node: Node, digests: dict[Claim, tuple[int, bytes]]) -> None:
    """Whether a store has the digest of one that was compared before and claims the same."""
    claim = (node.scope, tuple(sorted(node.history.seen.items())))
    other, digest = digests.setdefault(claim, (node.number, node.running.digest()))
    if node.running.digest() != digest:
        world.complain("equal vectors, equal documents", f"stores {other} and {node.number} differ")


# --- the end ---


def check_end(world: World, nodes: Sequence[Node]) -> None:
    """Everything that must hold when all stores have met."""
    first, *others = nodes
    held = dict(all_cells(first.running))
    check_digest(world, first, held)
    for node in others:
        check_same(world, first, held, node)
    for node in nodes:
        check_vector(world, node)
    check_losses(world, first.history.seen)
    check_oracle(world, first, held)
    check_tally(world, first)
    check_replay(world, first)


def all_cells(store: Store) -> Iterator[tuple[Document, list[Cell]]]:
    """Every document that exists, with its cells."""
    for collection in store.collections():
        for document in store.scan(collection):
            yield (collection, encode_id(document.id)), store.cells(collection, document.id)


def check_digest(world: World, node: Node, held: Mapping[Document, list[Cell]]) -> None:
    """Whether a store's digest and counts, which it keeps up in steps, are those of its cells."""
    total = 0
    for (collection, id_), cells in held.items():
        key = core.digest_key(collection, id_)
        total += sum(int.from_bytes(core.siphash128(key, part), "little") for part in canonical_cells(cells))
    store = node.running
    if (total % MODULUS).to_bytes(16, "little") != store.digest() or len(held) != store.stats().documents:
        world.complain(
            "digests are honest", f"store {node.number}: the digest is not that of its {len(held)} documents"
        )


def check_same(world: World, first: Node, held: Mapping[Document, list[Cell]], node: Node) -> None:
    """Whether two stores hold the same cells as far as both hold them, and their digests are those of their cells."""
    expected = {document: cells for document, cells in held.items() if holds(node.scope, document[0])}
    ours = dict(all_cells(node.running))
    check_digest(world, node, ours)
    if canonical(ours) != canonical(expected):
        world.complain("equal vectors, equal documents", f"stores {first.number} and {node.number} differ")


def canonical(held: Mapping[Document, list[Cell]]) -> dict[Document, bytes]:
    """Documents in the form that is equal exactly when they are."""
    return {document: canonical_form(cells) for document, cells in held.items()}


def check_losses(world: World, seen: Mapping[int, int]) -> None:
    """Whether every acknowledged transaction is there, but for those that went with a disk and that nobody else had."""
    for transaction in world.ledger.everything():
        is_there = transaction.position <= seen.get(transaction.origin, 0)
        if is_there or not transaction.acknowledged:
            continue
        if not transaction.excused:
            place = f"origin {transaction.origin}, position {transaction.position}"
            world.complain("no acknowledged write is lost", place)
        world.counts["acknowledged and lost with a disk"] += 1


def check_oracle(world: World, node: Node, held: Mapping[Document, list[Cell]]) -> None:
    """Whether every document has the cells, and shows the fields, that the oracle says."""
    documents = world.oracle.documents()
    for document in documents:
        expected = world.oracle.state(document, node.history.seen)
        if spell_state(expected) != spell_state(state_of(held.get(document, []))):
            what = f"{decode_id(document[1])!r} of {document[0]} on store {node.number}"
            world.complain("the state is a function of the set of transactions", what)
        check_shown(world, node, document[0], decode_id(document[1]), visible(expected))
    strays = sorted(held.keys() - set(documents))
    if strays:
        world.complain("the state is a function of the set of transactions", f"{strays} came from nowhere")


def state_of(cells: Sequence[Cell]) -> State:
    """A store's cells in the oracle's words."""
    return {
        (decode_path(cell.path), int(cell.type), tuple(cell.stamp)): content_of(cell)  # type: ignore[misc]
        for cell in cells
    }


def content_of(cell: Cell) -> Any:
    """What a cell holds, in the oracle's words."""
    if cell.type == CellType.MAP:
        return None
    if cell.type == CellType.REGISTER:
        return decode_value(cell.value)
    totals = {tuple(total.stamp[1:]): (tuple(total.stamp), total.amount) for total in cell.totals}
    return Instance(cell.explicit, decode_value(cell.value), totals)  # type: ignore[arg-type]


def spell_state(state: State) -> list[bytes]:
    """A state as bytes."""
    return sorted(spelled([name, spell_content(content)]) for name, content in state.items())


def spell_content(content: Any) -> Any:
    """A cell's content as msgpack has it."""
    if not isinstance(content, Instance):
        return content
    return [content.explicit, content.start, sorted((list(who), list(it)) for who, it in content.totals.items())]


def check_tally(world: World, node: Node) -> None:
    """Whether the tally shows the sum of what was acknowledged and is there."""
    fields = fields_of(node.running, collection_of(0), TALLY)
    shown = fields[TALLY_FIELD] if fields else 0
    expected = sum(
        transaction.tally if transaction.acknowledged else tally_in(transaction.record)
        for transaction in world.ledger.transactions(node.history.seen)
    )
    if shown != expected:
        world.complain("each increment counts once", f"the tally shows {shown} on store {node.number}, not {expected}")


def tally_in(record: bytes) -> int:
    """What a record adds to the tally, of a write whose client was told nothing."""
    changes = msgpack.unpackb(record, raw=False, strict_map_key=False)[6]
    tally = (collection_of(0), encode_id(TALLY))
    operations = [it for collection, id_, operations in changes if (collection, id_) == tally for it in operations]
    return sum(operation[5] for operation in operations if operation[0] == INCREMENT)


def check_replay(world: World, node: Node) -> None:
    """Whether a store that is given every record, in the order of time, ends like one that joined snapshots."""
    transactions = world.ledger.transactions(node.history.seen)
    ordered = sorted(transactions, key=lambda transaction: (transaction.timestamp, transaction.origin))
    with Store.in_memory(clock=node.running.clock, origin=bytes(16), entropy=bytes) as replayed:
        replayed.apply(transaction.record for transaction in ordered)
        if replayed.digest() != node.running.digest():
            world.complain("snapshot and tail are the full history", f"store {node.number} differs from a replay")
