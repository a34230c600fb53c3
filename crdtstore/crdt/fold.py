"""A fold is the net effect of one transaction on one document, kept while its commands run one by one.

Rules (law: the author sees his own last command; `tests/unit/test_fold.py` against stepwise application):
  - removals first, then at most one cell at each path, then one summed increment for each older instance;
  - a removal also takes back what the same transaction wrote, of its types, at the path and below;
  - a restart takes back the increments at its path;
  - two types at one path in one transaction is an error, and so is a value above another one's path: both would
    carry the same stamp, so which is visible would not be what came last. An increment of an older instance
    counts as a write there, whichever comes first;
  - an INITIAL write to which something is added is none any more;
  - a grave takes everything back, and nothing that comes behind it has an effect.
Without it a transaction could observe its own stamp, and "live = written - observed" would give nothing for
[set, remove, set].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from crdtstore.crdt.cell import ALL_TYPES, CellType
from crdtstore.crdt.counter import check_sum
from crdtstore.crdt.operation import (
    Attach,
    Bury,
    Increment,
    Initial,
    Mark,
    Operation,
    Remove,
    Restart,
    Start,
    Write,
)
from crdtstore.crdt.path import ancestors, format_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import Number
from crdtstore.errors import TypeConflict

Written: TypeAlias = Write | Mark | Start | Restart | Attach | Initial


@dataclass(slots=True)
class Fold:
    """Removed prefixes, the cell written at each path, the increment of each older instance."""

    removed: dict[bytes, int] = field(default_factory=dict)
    written: dict[bytes, Written] = field(default_factory=dict)
    increments: dict[tuple[bytes, Stamp], Number] = field(default_factory=dict)
    buried: bool = False
    above: dict[bytes, bytes] | None = None
    """Each path strictly above a written one, with one that stands below it; made when it is asked for."""

    def write_all(self, operations: Sequence[Write | Mark | Restart | Attach | Initial]) -> None:
        """Write the cells of one flattened object, which are in no one's way but an earlier command's."""
        if self.written or self.increments:
            for operation in operations:
                self.write(operation)
        else:
            self.written = {operation.path: operation for operation in operations}
            self.above = None

    def write(self, operation: Written) -> None:
        """Write a cell.

        Raises:
            TypeConflict: Another type was written at this path, or a value above or below it.
        """
        path = operation.path
        if self.kind_at(path) not in (None, kind(operation)):
            raise TypeConflict(f"One transaction writes two types at path {format_path(path)}.")
        self.check_nesting(path, is_value=kind(operation) is not Mark)
        self.written[path] = operation
        if self.increments and not isinstance(operation, Start):
            self.increments = {key: delta for key, delta in self.increments.items() if key[0] != path}

    def kind_at(self, path: bytes) -> type | None:
        """What this transaction has done at a path, None for nothing."""
        before = self.written.get(path)
        if before is not None:
            return kind(before)
        return Restart if any(at == path for at, _ in self.increments) else None

    def check_nesting(self, path: bytes, *, is_value: bool) -> None:
        """Refuse a value that stands above another written path, or below a written value."""
        if self.kind_at(path) is not None:
            return
        above = self.paths_above()
        if is_value and path in above:
            below = format_path(above[path])
            raise TypeConflict(f"One transaction writes a value at {format_path(path)} and another below, at {below}.")
        for ancestor in ancestors(path):
            if self.kind_at(ancestor) not in (None, Mark):
                value, below = format_path(ancestor), format_path(path)
                raise TypeConflict(f"One transaction writes a value at {value} and another below, at {below}.")
            above[ancestor] = path

    def paths_above(self) -> dict[bytes, bytes]:
        """The paths above the written ones."""
        if self.above is None:
            touched = [*self.written, *(path for path, _ in self.increments)]
            self.above = {parent: path for path in touched for parent in ancestors(path)}
        return self.above

    def remove(self, path: bytes, types: int = ALL_TYPES) -> None:
        """Remove what was observed at a path and below, and what this transaction wrote there."""
        self.removed[path] = self.removed.get(path, 0) | types
        self.written = {
            at: cell
            for at, cell in self.written.items()
            if not (at.startswith(path) and types >> TYPES[kind(cell)] & 1)
        }
        if types >> CellType.COUNTER & 1:
            self.increments = {key: delta for key, delta in self.increments.items() if not key[0].startswith(path)}
        self.above = None

    def bury(self) -> None:
        """Bury the document: nothing else of it is left."""
        self.removed, self.written, self.increments, self.above = {}, {}, {}, None
        self.buried = True

    def increment(self, path: bytes, instance: Stamp | None, delta: Number) -> None:
        """Add to a counter: to the cell written in this transaction, else to `instance`, else to a new one."""
        own = self.written.get(path)
        match own:
            case Restart(_, start) | Initial(Restart(_, start)):
                self.written[path] = Restart(path, check_sum(start + delta))
            case Start(_, amount):
                self.written[path] = Start(path, check_sum(amount + delta))
            case Write() | Mark() | Attach() | Initial():
                raise TypeConflict(f"One transaction writes two types at path {format_path(path)}.")
            case None if instance is None:
                self.write(Start(path, check_sum(delta)))
            case None:
                self.check_nesting(path, is_value=True)
                key = (path, instance)
                self.increments[key] = check_sum(self.increments.get(key, 0) + delta)

    def operations(self) -> list[Operation]:
        """The net effect in the record's canonical order."""
        if self.buried:
            return [Bury()]
        removals = [Remove(path, types) for path, types in sorted(self.removed.items())]
        cells = [self.written[path] for path in sorted(self.written)]
        sums = [Increment(path, instance, delta) for (path, instance), delta in sorted(self.increments.items())]
        return [*removals, *cells, *sums]


def kind(operation: Written) -> type:
    """What decides whether two writes at a path are of one type: implicit and explicit counters are."""
    write = operation.write if isinstance(operation, Initial) else operation
    return Restart if isinstance(write, Start) else type(write)


TYPES = {Write: CellType.REGISTER, Mark: CellType.MAP, Restart: CellType.COUNTER, Attach: CellType.ATTACHMENT}
"""The type of the cell that each kind of write makes."""
