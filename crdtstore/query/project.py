"""A projection shows some fields of a document, each where it stands, as JSON.

Rules: a path names keys only. A field that is not there is left out, with the objects around it; a path below another
one that is shown adds nothing. Only what is shown is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crdtstore.crdt.json_output import write_json
from crdtstore.errors import InvalidDocument
from crdtstore.query.lookup import FieldLookup
from crdtstore.query.tree import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.query.tree import Path
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.documents import Row


def print_fields(catalog: Catalog, collection: Collection, row: Row, paths: Sequence[Path]) -> bytes:
    """Some fields of a document as a JSON object."""
    lookup = FieldLookup(catalog, collection, row.id, row.document)
    shown: dict[str, Any] = {}
    for path in sorted(dict.fromkeys(paths), key=len):
        value = lookup(path)
        if value is not MISSING:
            place(shown, path, value)
    return write_json(shown)


def place(shown: dict[str, Any], path: Path, value: Any) -> None:
    """Put a value at its path, unless it stands there as a part of another one."""
    inner = shown
    for key in path[:-1]:
        inner = inner.setdefault(str(key), {})
    inner.setdefault(str(path[-1]), value)


def check_paths(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Refuse paths that cannot be shown.

    Raises:
        InvalidDocument: An empty path, or one with an index.
    """
    for path in paths:
        if not path or not all(isinstance(key, str) for key in path):
            raise InvalidDocument("A projection names fields by their keys; an index or an empty path cannot be shown.")
    return tuple(paths)
