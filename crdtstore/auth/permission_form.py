"""Permissions as people and programs write them: rules to read and rules to write, each for collections.

Rules: `everything` is all collections that there are and will be. Else a document of a collection is allowed if one of
the collection's queries holds of it; `true` holds of every document in all languages. What could not be enforced is
refused: a permission that is kept is one that holds. `qlVersion` names the language of queries, 0 the legacy one and
1 that of statements, as others write permissions too; a further language has a name in `language` instead of a number,
since numbers are not ours to give.

Not here: what a permission allows (`permission`), what a query may say (`rule_texts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from crdtstore import limits
from crdtstore.auth.permission import NOWHERE, Collections, Permission
from crdtstore.auth.rule_texts import Language, RuleTexts, Texts, read_rule, sorted_texts
from crdtstore.errors import (
    CrdtStoreError,
    InvalidQuery,
    LimitExceeded,
    MalformedRequest,
    QuerySyntaxError,
    UnsupportedPermission,
)
from crdtstore.storage.catalog import check_collection_name

EVERY_DOCUMENT: Final = "true"
BY_NUMBER: Final[tuple[Language, Language]] = ("legacy", "dql")
"""The languages that `qlVersion` numbers."""


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What may be done with one verb."""

    everything: bool
    queries_by_collection: dict[str, list[str]] = {}


NOTHING: Final = Rules(False)


class PermissionForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A permission in JSON."""

    read: Rules = NOTHING
    write: Rules = NOTHING
    remote_query: bool = False
    ql_version: Literal[0, 1] = 0
    language: Language | msgspec.UnsetType = msgspec.UNSET
    """In place of `ql_version`."""


class Allowed(NamedTuple):
    """The collections of a verb, and the queries of those that are not allowed as a whole."""

    collections: Collections
    texts: Texts = ()


def permission_of(form: PermissionForm) -> Permission:
    """Read a permission.

    Raises:
        UnsupportedPermission: A query that could not be enforced.
        MalformedRequest: Two languages are named.
        QuerySyntaxError: A query that cannot be read: `data` has the `verb` and `collection`, and `line` and `column`.
        InvalidDocument: What should name a collection cannot.
        LimitExceeded: Too many collections or queries, or a query that is too long.
    """
    language = language_of(form)
    read, write = allowed("read", form.read, language), allowed("write", form.write, language)
    # Where there is nothing to read in a language, permissions that allow the same are equal.
    texts = RuleTexts(language, read.texts, write.texts) if read.texts or write.texts else RuleTexts()
    return Permission(read=read.collections, write=write.collections, remote_query=form.remote_query, texts=texts)


def language_of(form: PermissionForm) -> Language:
    """The language of a permission's queries.

    Raises:
        MalformedRequest: `qlVersion` names one and `language` another.
    """
    by_number = BY_NUMBER[form.ql_version]
    if form.language is msgspec.UNSET:
        return by_number
    if form.ql_version and form.language != by_number:
        message = f"qlVersion {form.ql_version} is {by_number!r}, language says {form.language!r}; give one of them."
        raise MalformedRequest(message)
    return form.language


def allowed(verb: str, rules: Rules, language: Language) -> Allowed:
    """Read what is allowed of a verb; a collection without a query is not."""
    given = rules.queries_by_collection
    check_number(verb, "collections", len(given), limits.PERMISSION_COLLECTIONS_MAX, "PERMISSION_COLLECTIONS_MAX")
    queries = sum(len([query for query in each if not is_everything(query)]) for each in given.values())
    check_number(verb, "queries", queries, limits.PERMISSION_QUERIES_MAX, "PERMISSION_QUERIES_MAX")
    for name, each in given.items():
        check_collection_name(name)
        shown = {check_query(verb, name, query, language) for query in each}
        if len(shown) > 1 and not any(map(is_everything, each)):
            message = f"The queries of a permission to {verb} {name!r} show different fields; all show the same."
            raise UnsupportedPermission(message, verb=verb, collection=name)
    if rules.everything:
        return Allowed(None)
    partly = {name: each for name, each in given.items() if each and not any(map(is_everything, each))}
    return Allowed(frozenset(name for name, each in given.items() if each), sorted_texts(partly))


def check_number(verb: str, what: str, number: int, maximum: int, limit: str) -> None:
    """Refuse a permission that names too much.

    Raises:
        LimitExceeded: It does.
    """
    if number > maximum:
        message = f"A permission names at most {maximum} {what} to {verb}; this one names {number}."
        raise LimitExceeded(message, limit=limit, value=number, maximum=maximum)


def check_query(verb: str, collection: str, query: str, language: Language) -> frozenset[str] | None:
    """Refuse a query that is none, or could not be enforced; else say which fields it shows, None for all."""
    place = f"The permission to {verb} {collection!r} has the query {query!r:.80}"
    if len(query) > limits.PERMISSION_QUERY_CHARACTERS_MAX:
        maximum = limits.PERMISSION_QUERY_CHARACTERS_MAX
        message = f"{place}, which has {len(query)} characters; at most {maximum} are taken."
        limit = "PERMISSION_QUERY_CHARACTERS_MAX"
        raise LimitExceeded(message, limit=limit, value=len(query), maximum=maximum)
    if is_everything(query):
        return None
    try:
        rule = read_rule(query, language, collection)
        if verb == "write" and rule.fields is not None:
            raise InvalidQuery("Who may write a document may write all of its fields.", reason="rule")
    except QuerySyntaxError as error:
        error.message = f"{place}: {error.message}"
        error.data.update(verb=verb, collection=collection)
        raise
    except CrdtStoreError as error:
        message = f"{place}, which could not be enforced: {error.message}"
        raise UnsupportedPermission(message, verb=verb, collection=collection) from None
    return rule.fields


def is_everything(query: str) -> bool:
    """Whether a query holds of every document, in every language."""
    return query.strip() == EVERY_DOCUMENT


def form_of(permission: Permission) -> PermissionForm:
    """Write a permission down."""
    language = permission.texts.language
    return PermissionForm(
        rules_of(permission.read, permission.texts.of("read")),
        rules_of(permission.write, permission.texts.of("write")),
        permission.remote_query,
        1 if language == "dql" else 0,
        msgspec.UNSET if language in BY_NUMBER else language,
    )


def rules_of(collections: Collections, texts: Mapping[str, Sequence[str]]) -> Rules:
    """Write the rules of a verb down."""
    if collections is None:
        return Rules(True)
    return Rules(False, {name: list(texts.get(name, (EVERY_DOCUMENT,))) for name in sorted(collections)})


def sentence_of(permission: Permission) -> str:
    """Say what a permission allows."""
    places = {verb: place(permission, verb) for verb in ("read", "write") if permission.where(verb) != NOWHERE}
    if len(places) > 1 and places["read"] == places["write"]:
        return f"may read and write {places['read']}"
    return f"may {' and '.join(f'{verb} {where}' for verb, where in places.items()) or 'do nothing'}"


def place(permission: Permission, verb: str) -> str:
    """Say where a verb holds, and for which documents."""
    where, texts = permission.where(verb), permission.texts.of(verb)
    if where is None:
        return "everything"
    return ", ".join(f"{name} {said(texts[name])}" if name in texts else name for name in sorted(where))


def said(texts: Sequence[str]) -> str:
    """Say which documents the rules of a collection show; statements say so themselves."""
    word = "by" if texts[0].upper().startswith("SELECT ") else "where"
    return f"{word} {' or '.join(texts)}"
