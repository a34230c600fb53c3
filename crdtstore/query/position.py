"""Where a page ended, and what of a source lies behind it: reading goes on there without reading what came before.

Rules: a group is the entries of an index whose columns are equal; they stand by id. In a descending order the groups
come from the last to the first, the ids within each still ascending, so that ties come the same way in every order.
A position holds what each way of reading needs, so the next page may be read another way than the last.

Not here: which way that is (`plan`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from crdtstore.errors import InvalidCursor
from crdtstore.query.bounds import behind
from crdtstore.storage.index import WHOLE
from crdtstore.storage.index_entries import part_prefix
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.query.plan import Plan
    from crdtstore.query.source import Source
    from crdtstore.storage.catalog import Collection


class Position(NamedTuple):
    """Where a page ended, for every way of reading: by sort key, by an index's columns, by id."""

    sort_key: bytes
    columns: tuple[bytes, ...]
    id_key: bytes

    def encode(self) -> bytes:
        """As bytes."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From bytes.

        Raises:
            InvalidCursor: They are none.
        """
        try:
            return msgspec.msgpack.decode(data, type=cls)
        except msgspec.MsgspecError:
            raise InvalidCursor("The cursor holds no position: ask the first page again.") from None


def sources_behind(plan: Plan, collection: Collection, position: Position | None) -> tuple[Source, ...]:
    """What is to be read of a plan that serves the order, one after the other."""
    if position is None:
        return (plan.source,)
    if not position.columns:
        return (behind_id(plan.source, collection, position.id_key),)
    if plan.index is None or plan.reading is None:
        raise InvalidCursor("The cursor is of another order than the query: ask the first page again.")
    # Columns that are fixed stand before those of the order.
    before = plan.reading.fixed[: len(plan.index.paths) - len(position.columns)]
    group = part_prefix(plan.index, WHOLE) + b"".join(before + position.columns)
    return behind_entry(plan.source, group, position.id_key)


def behind_id(source: Source, collection: Collection, id_key: bytes) -> Source:
    """Of a source in the order of ids: documents, or one group of an index."""
    ranges: list[tuple[bytes, bytes]] = []
    for start, end in source.ranges:
        # The range of a group is all that begins with its columns, and ids follow them.
        first = (collection.prefix if source.table == Table.DOCUMENTS else start) + id_key + b"\0"
        if first < end:
            ranges.append((max(start, first), end))
    return source._replace(ranges=tuple(ranges))


def behind_entry(source: Source, group: bytes, id_key: bytes) -> tuple[Source, ...]:
    """Of a source in the order of its columns: what is left of the group, and the groups behind it."""
    last = group + id_key
    for number, (start, end) in enumerate(source.ranges):
        if start <= last < end:
            later = source.ranges[number + 1 :]
            if not source.descending:
                return (source._replace(ranges=((last + b"\0", end), *later)),)
            rest = source._replace(ranges=((last + b"\0", min(end, behind(group))),), descending=False)
            return rest, source._replace(ranges=((start, group), *later))
    # The plan may have left out the range in which the last page ended.
    passed = [each for each in source.ranges if (each[1] <= last if source.descending else each[0] > last)]
    return (source._replace(ranges=tuple(passed)),)
