"""Declared types: which of the types that live side by side in a field a statement sees.

Rules: a field that `COLLECTION c (field TYPE)` declares shows what lives there of that type, and nothing of any other.
Of a field that is not declared a strict profile shows the register: a map, a counter or an attachment is invisible;
otherwise it shows what a reader sees. What stands in a declared map goes by the declarations inside of it. The `_id`
has no type.

Not here: what is written (`field_types`).
"""

from __future__ import annotations

from struct import unpack_from
from typing import TYPE_CHECKING, Final

from crdtstore.crdt import counter, register
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.document import newest_below, show, tree, visible_type
from crdtstore.crdt.document_bytes import FORMATS, HEADER, INITIAL, LOCAL_FLAG, unpack_document
from crdtstore.crdt.identifier import decode_id
from crdtstore.query.dql.profile import is_strict
from crdtstore.query.lookup import ID_FIELD
from crdtstore.query.search import read_row
from crdtstore.query.tree import MISSING, And, Call, Compare, Contains, Field, IsType, Literal, Or

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.crdt.document import Node
    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.profile import Profile
    from crdtstore.query.dql.statement import Declaration, Source
    from crdtstore.query.tree import Node as Condition
    from crdtstore.statement.rows import Row
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.documents import Row as StoredRow

TYPES: Final = {
    "register": CellType.REGISTER,
    "map": CellType.MAP,
    "attachment": CellType.ATTACHMENT,
    "counter": CellType.COUNTER,
    "pn_counter": CellType.COUNTER,
}


REGISTER_CODES: Final = bytes(CellType.REGISTER | initial | kind << 4 for initial in (0, INITIAL) for kind in range(16))
"""What an entry of a register may have in the column of codes: the kind of its value is in the upper half."""


def is_declared(source: Source, profile: Profile) -> bool:
    """Whether a statement may see other types of a source's fields than a reader does."""
    return bool(source.declarations) or is_strict(profile)


def show_declared(catalog: Catalog, collection: Collection, stored: StoredRow, source: Source, profile: Profile) -> Row:
    """A stored document as the declarations of a source show it."""
    if is_plain(stored.document, collection):
        row: Row = read_row(catalog, collection, stored, None)
        for declaration in source.declarations:
            if declaration.type != "register":
                row.pop(declaration.name, None)
        return row
    cells = unpack_document(stored.document, collection.paths, catalog.replicas)
    shown = show_fields(tree(cells), source.declarations, strict=is_strict(profile))
    return {ID_FIELD: decode_id(stored.id), **shown}


def is_plain(document: bytes, collection: Collection) -> bool:
    """Whether a document has registers right at its root and nothing else, so that no type hides another."""
    widths, count = document[1], int.from_bytes(document[4:8], "little")
    numbers_end = HEADER.size + (count << (widths & 3))
    codes = document[numbers_end : numbers_end + count]
    if widths & LOCAL_FLAG or codes.translate(None, REGISTER_CODES):
        return False
    numbers = unpack_from(f"<{count}{FORMATS[widths & 3]}", document, HEADER.size)
    texts = collection.paths.texts
    # Each key of a path ends with a zero.
    return all(texts[number].count(0) == 1 for number in numbers)


def show_fields(node: Node, declarations: Sequence[Declaration], *, strict: bool) -> dict[str, Value]:
    """The fields of a document, or of a map in it."""
    declared = {declaration.name: declaration for declaration in declarations}
    children = sorted(node.children.items(), key=lambda pair: pair[0].encode())
    shown = ((key, show_field(child, declared.get(key), strict=strict)) for key, child in children)
    return {key: value for key, value in shown if value is not MISSING}


def show_field(node: Node, declaration: Declaration | None, *, strict: bool) -> Value:
    """One field, MISSING where nothing of its type lives."""
    if declaration is None and not strict:
        return MISSING if visible_type(node) is None else show(node)
    kind = CellType.REGISTER if declaration is None else TYPES[declaration.type]
    if kind == CellType.MAP:
        inside = () if declaration is None else declaration.inside
        return MISSING if newest_below(node) is None else show_fields(node, inside, strict=strict)
    cells = node.cells.get(kind)
    if not cells:
        return MISSING
    return counter.visible(cells) if kind == CellType.COUNTER else register.visible(cells)


# --- conditions ---


def is_sure(node: Condition) -> bool:
    """Whether a condition can be true only of values that hold no fields, so of no others than a reader sees.

    Declared types take fields away from what a reader sees; they show something else only where types rival.
    """
    match node:
        case Literal():
            return True
        case And(operands) | Or(operands):
            return all(map(is_sure, operands))
        case Compare(_, left, right) | Contains(left, right):
            return is_simple(left) and is_simple(right) and Literal in (left.__class__, right.__class__)
        case Call(_, arguments, "unknown"):
            return all(map(is_simple, arguments))
        case IsType(Field(), types):
            return not {"missing", "object"} & set(types)
    return False


def is_simple(node: Condition) -> bool:
    """Whether a value is a field, or a constant without objects."""
    match node:
        case Field():
            return True
        case Literal(list() as items):
            return all(item.__class__ not in (list, dict) for item in items)
        case Literal(value):
            return value.__class__ is not dict
    return False
