"""Row keys are what rows are grouped and sorted by: bytes that are equal as values are, and sort as ORDER BY does.

Rules: the key of a group tells apart whatever is not equal, objects too, at whatever depth, and MISSING from null. The
sort key of a row compares SORT_KEY_BYTES_MAX of each value, as indexes and `find` do, objects not at all; then comes
what makes the order total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crdtstore import core
from crdtstore.crdt.identifier import ARRAY, encode_id
from crdtstore.crdt.path import escape
from crdtstore.query.lookup import ID_FIELD
from crdtstore.query.order import DQL_ORDER, key_part
from crdtstore.query.relation import TYPES
from crdtstore.query.tree import TYPE_NAMES
from crdtstore.storage.documents import id_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Evaluator
    from crdtstore.statement.rows import Row

RANKS: Final = {kind: bytes([DQL_ORDER[TYPE_NAMES.index(name)]]) for kind, name in TYPES.items()}
LAST: Final = b"\xff"
"""Behind every encoded id: where a join has no document."""

END: Final = b"\0"


def group_key(values: Sequence[Value]) -> bytes:
    """The key of several values, one behind the other."""
    return b"".join(RANKS[value.__class__] + identity_key(value) for value in values)


def identity_key(value: Value) -> bytes:
    """A value's key; no key is the beginning of another one."""
    if value.__class__ is dict:
        pairs = sorted((key_of_text(key), identity_key(item)) for key, item in value.items())
        return core.value_key(value) + b"".join(key + item for key, item in pairs) + END  # type: ignore[no-any-return]
    if value.__class__ is list:
        return bytes([ARRAY]) + b"".join(map(identity_key, value)) + END
    return core.value_key(value)  # type: ignore[no-any-return]


def key_of_text(text: str) -> bytes:
    """A key of an object; it does not begin with what ends one."""
    return b"\x01" + escape(text.encode()) + END


def make_sort_key(keys: Sequence[tuple[Evaluator, bool]], tie: Callable[[Row], bytes]) -> Callable[[Row], bytes]:
    """Make what gives a row's sort key.

    Args:
        keys: What is compared, and whether it is descending.
        tie: What decides where all of them are equal.
    """

    def key(row: Row) -> bytes:
        parts = [key_part(DQL_ORDER, get(row), descending) for get, descending in keys]
        return b"".join(parts) + tie(row)

    return key


def document_tie(row: Row) -> bytes:
    """Documents come by their ids."""
    return id_key(encode_id(row[ID_FIELD]))


def joined_tie(aliases: Sequence[str]) -> Callable[[Row], bytes]:
    """Rows of a join come by the ids of their documents, in the order of the sources; where there is none, last."""

    def tie(row: Row) -> bytes:
        ids = row[ID_FIELD]
        return b"".join(tie_part(ids[alias]) if alias in ids else LAST for alias in aliases)

    return tie


def tie_part(id_: Value) -> bytes:
    """An id, ended, so that another can follow."""
    return escape(id_key(encode_id(id_))) + END
