"""Which ids a query can be about, so that documents are looked up instead of searched.

Rules: a document that matches has one of these ids; whether it matches is asked all the same.
"""

from __future__ import annotations

from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.value import Value
from crdtstore.errors import InvalidId
from crdtstore.query.relation import identity
from crdtstore.query.tree import ID_PATH, And, Compare, Comparison, Contains, Field, Literal, Node, Or


def point_ids(node: Node) -> list[Value] | None:
    """The ids that a matching document can have, or None when the query does not tell.

    Recognises `_id == constant`, `contains(constant array, _id)`, any of these in a conjunction and all of
    these in a disjunction. The documents still have to be matched: these are the only ones that can. No id
    is listed twice, and what cannot be an id (null, an array, a text that is too long) is left out.
    Constants that are dates, or hold some, tell nothing where dates compare as instants: ids in other
    spellings would be equal.
    """
    match node:
        case Literal(False):
            return []
        case Compare("==", Field(path), Literal(value)) | Compare("==", Literal(value), Field(path)) if path == ID_PATH:
            return possible_ids([value], node.comparison)
        case Contains(Literal(list() as values), Field(path)) if path == ID_PATH:
            return possible_ids(values, node.comparison)
        case And(operands):
            known = [ids for ids in map(point_ids, operands) if ids is not None]
            return min(known, key=len) if known else None
        case Or(operands):
            return every_id(operands)
    return None


def possible_ids(values: list[Value], comparison: Comparison) -> list[Value] | None:
    """Those of the values that can be ids, each once; None when others could be equal to one of them."""
    ids: dict[bytes, Value] = {}
    for value in values:
        if comparison.dates_are_instants and identity(value, dates=True) != identity(value, dates=False):
            return None
        try:
            ids.setdefault(encode_id(value), value)
        except InvalidId:
            continue
    return list(ids.values())


def every_id(operands: tuple[Node, ...]) -> list[Value] | None:
    """The ids of all alternatives together, each once; None when one of them does not tell."""
    ids: dict[bytes, Value] = {}
    for operand in operands:
        known = point_ids(operand)
        if known is None:
            return None
        ids.update({encode_id(value): value for value in known})
    return list(ids.values())
