"""What a key may do with one document, and what decides that, for who manages keys.

Rules: it is asked of the same rules that reads and writes are held to. Whoever asks sees the whole store; so what is
told here is not for the bearer of the key.

Not here: how a rule is held to (`query/rules.py`).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from crdtstore.auth.permission import Permission, Verb
from crdtstore.auth.rule_texts import read_kept_rule
from crdtstore.crdt.identifier import encode_id
from crdtstore.errors import Forbidden
from crdtstore.query.find import filter_of
from crdtstore.query.rules import NO_DOCUMENT
from crdtstore.storage.documents import living_document
from crdtstore.store import Store

Reason: TypeAlias = Literal["everything", "collection", "rule", "no-rule", "no-document", "no-right"]


class AskedDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document, there or not."""

    collection: str
    id: Any


class AskedRule(msgspec.Struct, frozen=True):
    """A query of a permission, and whether it holds of the document."""

    query: str
    holds: bool


class Decision(msgspec.Struct, frozen=True):
    """Whether a verb is allowed on a document, and what decides it."""

    allowed: bool
    reason: Reason
    """All is allowed; the collection is; a rule holds; none does; there is no document; the right is lacking."""

    said: str
    rules: list[AskedRule] = []


class ExplainedDocument(msgspec.Struct, frozen=True):
    """What a key may do with a document."""

    prefix: str
    collection: str
    id: Any
    exists: bool
    read: Decision
    write: Decision


def explain_document(store: Store, prefix: str, permission: Permission, asked: AskedDocument) -> ExplainedDocument:
    """Say what a key may do with a document.

    Raises:
        InvalidId: The id is none.
    """
    encoded_id = encode_id(asked.id)
    with store.view() as (snapshot, catalog):
        known = catalog.by_name.get(asked.collection)
        document = living_document(snapshot, known, encoded_id) if known else b""

        def holds(query: str) -> bool:
            node = read_kept_rule(query, permission.texts.language, asked.collection).node
            if known is None or node == NO_DOCUMENT:
                return False
            return filter_of(node).matches(catalog, known, encoded_id, document)

        def decide(verb: Verb) -> Decision:
            queries = permission.texts.of(verb).get(asked.collection, ())
            rules = [AskedRule(query, holds(query)) for query in queries] if document else []
            return decision(permission, verb, asked.collection, rules, exists=bool(document))

        return ExplainedDocument(prefix, asked.collection, asked.id, bool(document), decide("read"), decide("write"))


def decision(permission: Permission, verb: Verb, collection: str, rules: list[AskedRule], *, exists: bool) -> Decision:
    """Whether a verb is allowed on a document, of which rules hold or not."""
    try:
        permission.check(verb, collection)
    except Forbidden as error:
        return Decision(False, "no-right", error.message)
    if permission.where(verb) is None:
        return Decision(True, "everything", f"It may {verb} everything.")
    if collection not in permission.texts.of(verb):
        return Decision(True, "collection", f"It may {verb} the collection as a whole.")
    if not exists:
        then = "one that it makes has to satisfy a rule" if verb == "write" else "there is nothing to read"
        return Decision(False, "no-document", f"There is no such document: {then}.")
    holding = [rule.query for rule in rules if rule.holds]
    if not holding:
        return Decision(False, "no-rule", f"None of its rules to {verb} holds of the document.", rules)
    then = ", and has to afterwards" if verb == "write" else ""
    return Decision(True, "rule", f"The rule {holding[0]} holds of the document{then}.", rules)
