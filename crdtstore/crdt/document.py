"""A document is a set of cells: here is what a reader sees of it, and its canonical form and digest.

Rules:
  - Types live side by side under one path. The visible one holds the greatest stamp among its live cells
    (counter: creation and totals; map: marker and all that lives below); equal: counter > map > attachment > register.
    An initial cell is behind every other, whatever its stamp.
  - A document exists while it has a live cell that is no grave.
  - The canonical form spells out paths, actors and origins, so equal states have equal bytes on every store.
    Stored bytes hold interned numbers and are never compared or digested.
  - The digest is the sum mod 2¹²⁸ of the hashes of its cells and totals, so it changes in O(changed cells)
    (`tests/core/test_merge_twins.py`); a store's digest sums those of its documents. The hash is keyed by
    collection and id: the same cells in another document count differently.

Source of the digest: Bellare and Micciancio, "A new paradigm for collision-free hashing", 1997 (AdHash). It
finds faults, not forgers: what guards history is the hash chain over records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from crdtstore.crdt import counter, register
from crdtstore.crdt.cell import RANK, Cell, CellType, Recency
from crdtstore.crdt.grave import is_buried
from crdtstore.crdt.path import decode_path
from crdtstore.crdt.siphash import siphash128
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import Value, encode_value

DIGEST_BYTES = 16
DIGEST_KEY = b"crdtstore digest"
MODULUS = 1 << 128

CANONICAL_EXPLICIT = 4
CANONICAL_TOTAL = 5
"""Codes of canonical cells beyond CellType: an explicit counter instance, and a total."""

CANONICAL_INITIAL = 8
"""Added to the code of an initial cell."""


class Sibling(NamedTuple):
    """One of several values at a path, as `conflicts` shows it."""

    value: Value
    type: str
    actor: bytes
    origin: bytes
    timestamp: int
    visible: bool


@dataclass(slots=True)
class Node:
    """The cells at one path and the nodes below it."""

    cells: dict[CellType, list[Cell]] = field(default_factory=dict)
    children: dict[str, Node] = field(default_factory=dict)


def tree(cells: Iterable[Cell]) -> Node:
    """Arrange a document's cells by path."""
    root = Node()
    for cell in cells:
        node = root
        for key in decode_path(cell.path):
            node = node.children.setdefault(key, Node())
        node.cells.setdefault(cell.type, []).append(cell)
    return root


def newest_below(node: Node) -> Recency | None:
    """The greatest recency of a node's markers and of everything that lives below it: its map's."""
    found = [cell.recency for cell in node.cells.get(CellType.MAP, ())]
    found += [cell.recency for child in node.children.values() for cell in cells_of(child)]
    return max(found, default=None)


def cells_of(node: Node) -> list[Cell]:
    """All cells at a node and below."""
    own = [cell for cells in node.cells.values() for cell in cells]
    return own + [cell for child in node.children.values() for cell in cells_of(child)]


def visible_type(node: Node) -> CellType | None:
    """The type that a reader sees at a node, None where nothing lives."""
    recency: dict[CellType, Recency] = {}
    for kind in (CellType.REGISTER, CellType.ATTACHMENT, CellType.COUNTER):
        if node.cells.get(kind):
            recency[kind] = max(cell.recency for cell in node.cells[kind])
    below = newest_below(node)
    if below:
        recency[CellType.MAP] = below
    return max(recency, key=lambda kind: (recency[kind], RANK[kind]), default=None)


def visible(cells: Sequence[Cell]) -> dict[str, Value] | None:
    """The document as a reader sees it, keys in the order of their UTF-8 bytes; None when it does not exist."""
    return show_map(tree(cells)) if cells and not is_buried(cells) else None


def show_map(node: Node) -> dict[str, Value]:
    """The visible children of a map."""
    children = sorted(node.children.items(), key=lambda pair: pair[0].encode())
    return {key: show(child) for key, child in children if visible_type(child) is not None}


def show(node: Node) -> Value:
    """The visible value of a node that has one."""
    match visible_type(node):
        case CellType.REGISTER | CellType.ATTACHMENT as kind:
            return register.visible(node.cells[kind])
        case CellType.COUNTER:
            return counter.visible(node.cells[CellType.COUNTER])
        case _:
            return show_map(node)


def type_at(cells: Iterable[Cell], path: bytes) -> CellType | None:
    """The type that a reader sees at a path; None where nothing is, or where a value above hides it."""
    node = tree(cells)
    for depth, key in enumerate(decode_path(path)):
        if (depth and visible_type(node) != CellType.MAP) or key not in node.children:
            return None
        node = node.children[key]
    return visible_type(node)


def conflicts(cells: Sequence[Cell]) -> dict[tuple[str, ...], tuple[Sibling, ...]]:
    """The paths at which more than one value lives, each with all of them, the visible one first."""
    found: dict[tuple[str, ...], tuple[Sibling, ...]] = {}
    collect_conflicts(tree(cells), (), found)
    return found


def collect_conflicts(node: Node, path: tuple[str, ...], found: dict[tuple[str, ...], tuple[Sibling, ...]]) -> None:
    """Add the conflicts at a node and below."""
    rivals = candidates(node)
    if len(rivals) > 1:
        shown = visible_type(node)
        first = max(rivals, key=lambda rival: (rival[1] == shown, rival[2]))
        ordered = [
            first,
            *sorted((rival for rival in rivals if rival is not first), key=lambda rival: rival[2]),
        ]
        found[path] = tuple(
            Sibling(value, kind.name.lower(), stamp.actor, stamp.origin, stamp.timestamp, visible=at == 0)
            for at, (value, kind, (_, stamp)) in enumerate(ordered)
        )
    for key, child in node.children.items():
        collect_conflicts(child, (*path, key), found)


def candidates(node: Node) -> list[tuple[Value, CellType, Recency]]:
    """Every value that lives at a node: each register and attachment, the counter as one, the map as one."""
    rivals: list[tuple[Value, CellType, Recency]] = [
        (register.visible([cell]), kind, cell.recency)
        for kind in (CellType.REGISTER, CellType.ATTACHMENT)
        for cell in node.cells.get(kind, ())
    ]
    instances = node.cells.get(CellType.COUNTER)
    if instances:
        rivals.append((counter.visible(instances), CellType.COUNTER, max(cell.recency for cell in instances)))
    below = newest_below(node)
    if below:
        rivals.append((show_map(node), CellType.MAP, below))
    return rivals


def canonical_cells(cells: Iterable[Cell]) -> list[bytes]:
    """Each cell and each total in its canonical form, sorted by path, type and stamp."""
    ordered = sorted(cells, key=lambda cell: (cell.path, cell.type, cell.stamp))
    return [part for cell in ordered for part in canonical_parts(cell)]


def canonical_parts(cell: Cell) -> list[bytes]:
    """A cell's canonical form and those of its totals in (actor, origin) order.

    path length (u16 LE) ‖ path ‖ code (u8) ‖ timestamp (u64 BE) ‖ actor ‖ origin ‖ (total: the instance's
    stamp) ‖ encoded value.
    """
    head = len(cell.path).to_bytes(2, "little") + cell.path
    code = (CANONICAL_EXPLICIT if cell.explicit else cell.type) | (CANONICAL_INITIAL if cell.initial else 0)
    parts = [head + bytes([code]) + spell(cell.stamp) + cell.value]
    for total in sorted(cell.totals, key=lambda total: total.stamp.replica):
        amount = encode_value(total.amount)
        parts.append(head + bytes([CANONICAL_TOTAL]) + spell(total.stamp) + spell(cell.stamp) + amount)
    return parts


def spell(stamp: Stamp) -> bytes:
    """A stamp's canonical form, 40 bytes."""
    return stamp.timestamp.to_bytes(8, "big") + stamp.replica


def canonical_form(cells: Iterable[Cell]) -> bytes:
    """The document's canonical form: equal exactly when the states are."""
    return b"".join(len(part).to_bytes(4, "little") + part for part in canonical_cells(cells))


def digest_key(collection: str, encoded_id: bytes) -> bytes:
    """The key under which a document's cells are hashed: 16 bytes from its collection and id."""
    name = collection.encode()
    return siphash128(DIGEST_KEY, len(name).to_bytes(2, "little") + name + encoded_id)


def digest(cells: Iterable[Cell], key: bytes) -> int:
    """The document's digest, 0 to 2¹²⁸ - 1; 0 for a document that does not exist."""
    hashes = (siphash128(key, part) for part in canonical_cells(cells))
    return sum(int.from_bytes(hashed, "little") for hashed in hashes) % MODULUS
