"""Documents whose attachments are shown with the address of their file: `formatAttachment` of find and findbyid.

Rules: a token is shown as it is, with `url` beside its keys: the path of the file on this server. It names the document
too, so that every key that read the document can read the file. Nothing else of the document changes.

Not here: what is answered at that path (`download.py`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from crdtstore.query.find import Document, Form


def typed(form: Form) -> Form:
    """The form in which a document is to be read: one that tells attachments from objects like them."""
    return "types" if form == "values" else form


def with_urls(document: Document, form: Form, collection: str, version: str) -> Document:
    """Show a document with the addresses of its files.

    Args:
        document: Read in `typed(form)`.
        form: In which it is shown.
        collection: Its collection.
        version: The version of the API that is spoken.
    """
    behind = ""
    if isinstance(document.id, str):
        behind = f"?collection={quote(collection, safe='')}&document={quote(document.id, safe='')}"
    fields = {
        name: shown(field, form, f"/api/{version}/attachments/", behind)
        for name, field in msgspec.json.decode(document.json).items()
    }
    return Document(document.id, msgspec.json.encode(fields))


def shown(field: dict[str, Any], form: Form, before: str, behind: str) -> Any:
    """Show one field, which stands under its type."""
    [(kind, told)] = field.items()
    value = told["value"]
    if kind == "map":
        value = {name: shown(below, form, before, behind) for name, below in value.items()}
    elif kind == "attachment":
        value = {**value, "url": f"{before}{quote(value['id'], safe='')}{behind}"}
    return value if form == "values" else {kind: {**told, "value": value}}
