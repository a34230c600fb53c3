"""Declared types: which of the types that live side by side in a field a statement sees.

Rules: a field that `COLLECTION c (field TYPE)` declares shows what lives there of that type, and nothing of any other.
Of a field that is not declared a strict profile shows the register: a map, a counter or an attachment is invisible;
otherwise it shows what a reader sees. What stands in a declared map goes by the declarations inside of it. The `_id`
has no type.

Not here: what is written (`field_types`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crdtstore.crdt import counter, register
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.document import newest_below, show, tree, visible_type
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.identifier import decode_id
from crdtstore.query.dql.profile import is_strict
from crdtstore.query.lookup import ID_FIELD
from crdtstore.query.tree import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.crdt.document import Node
    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.profile import Profile
    from crdtstore.query.dql.statement import Declaration, Source
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


def is_declared(source: Source, profile: Profile) -> bool:
    """Whether a statement may see other types of a source's fields than a reader does."""
    return bool(source.declarations) or is_strict(profile)


def show_declared(catalog: Catalog, collection: Collection, stored: StoredRow, source: Source, profile: Profile) -> Row:
    """A stored document as the declarations of a source show it."""
    cells = unpack_document(stored.document, collection.paths, catalog.replicas)
    shown = show_fields(tree(cells), source.declarations, strict=is_strict(profile))
    return {ID_FIELD: decode_id(stored.id), **shown}


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
