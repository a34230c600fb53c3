"""What a statement is: frozen structs that say what was written and nothing of how it runs.

Rules: `f -> (a = 1)` is `f.a = 1`, and `f -> tombstone()` is `UNSET f`. Paths of changes hold keys only. What is not
written is empty or None.
"""

from __future__ import annotations

from typing import Literal as OneOf
from typing import TypeAlias

import msgspec

from crdtstore.query.dql.expression import Expression
from crdtstore.query.tree import Path

Keys: TypeAlias = tuple[str, ...]
"""The path of a change: keys of objects, from the document's root."""

DeclaredType: TypeAlias = OneOf["register", "map", "attachment", "counter", "pn_counter"]
Policy: TypeAlias = OneOf["fail", "nothing", "update", "update_local_diff"]
JoinKind: TypeAlias = OneOf["inner", "left", "right"]
RemovalVerb: TypeAlias = OneOf["delete", "evict", "tombstone"]
ExplainVerb: TypeAlias = OneOf["explain", "profile", "advise"]


class Declaration(msgspec.Struct, frozen=True, omit_defaults=True):
    """The type of a field, as `COLLECTION c (field TYPE)` says it; of a map's own fields too."""

    name: str
    type: DeclaredType
    inside: tuple[Declaration, ...] = ()


class Ids(msgspec.Struct, frozen=True, omit_defaults=True):
    """`USE IDS`: these ids, or those of a list that comes with the statement."""

    items: tuple[Expression, ...] = ()
    parameter: str | None = None


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where documents come from: a collection, or what the store tells of itself."""

    name: str
    system: bool = False
    declarations: tuple[Declaration, ...] = ()
    alias: str | None = None
    ids: Ids | None = None
    indexes: tuple[str, ...] = ()
    directives: str | None = None


class Join(msgspec.Struct, frozen=True):
    """A further source, and which of its documents go with which row."""

    kind: JoinKind
    source: Source
    on: Expression


class All(msgspec.Struct, frozen=True, tag_field="projection", tag="all", omit_defaults=True):
    """`*`, or `alias.*`: every field."""

    alias: str | None = None


class Column(msgspec.Struct, frozen=True, tag_field="projection", tag="column", omit_defaults=True):
    """A value, and the name it was given."""

    value: Expression
    alias: str | None = None


class Without(msgspec.Struct, frozen=True, tag_field="projection", tag="without"):
    """`MISSING path`: a field that is left out."""

    path: Path


Projection: TypeAlias = All | Column | Without


class SortKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """One key of an order."""

    value: Expression
    descending: bool = False


class Base(msgspec.Struct, frozen=True, tag_field="statement", omit_defaults=True):
    """What every statement is."""


class Select(Base, frozen=True, tag="select"):
    """Rows, made of documents."""

    projections: tuple[Projection, ...]
    source: Source
    distinct: bool = False
    joins: tuple[Join, ...] = ()
    where: Expression | None = None
    group: tuple[Expression, ...] = ()
    having: Expression | None = None
    order: tuple[SortKey, ...] = ()
    limit: Expression | None = None
    offset: Expression | None = None


class Insert(Base, frozen=True, tag="insert"):
    """Documents that are written: each an expression, or the rows of a SELECT."""

    source: Source
    documents: tuple[Expression, ...] = ()
    select: Select | None = None
    initial: bool = False
    policy: Policy = "fail"
    returning: tuple[Projection, ...] = ()


class Assignment(msgspec.Struct, frozen=True):
    """A field that is set; without a value to what its type begins with (`f -> default()`)."""

    path: Keys
    value: Expression | None


class Apply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A counter that is changed: `increment`, `pn_increment` by a value, `restart` with one or without."""

    path: Keys
    operation: OneOf["increment", "pn_increment", "restart"]
    value: Expression | None = None


class Update(Base, frozen=True, tag="update"):
    """Changes of the documents that fulfil a condition."""

    source: Source
    apply: tuple[Apply, ...] = ()
    set: tuple[Assignment, ...] = ()
    unset: tuple[Keys, ...] = ()
    where: Expression | None = None
    returning: tuple[Projection, ...] = ()


class Remove(Base, frozen=True, tag="remove"):
    """Documents that go: deleted everywhere, evicted from this store, or deleted for good."""

    verb: RemovalVerb
    source: Source
    where: Expression | None = None
    order: tuple[SortKey, ...] = ()
    limit: Expression | None = None
    offset: Expression | None = None
    returning: tuple[Projection, ...] = ()


class CreateIndex(Base, frozen=True, tag="create-index"):
    """An index over paths of a collection."""

    name: str
    collection: str
    paths: tuple[Path, ...]
    if_absent: bool = False


class DropIndex(Base, frozen=True, tag="drop-index"):
    """An index that goes."""

    name: str
    collection: str
    if_present: bool = False


class AlterSystem(Base, frozen=True, tag="alter-system"):
    """`ALTER SYSTEM SET name = value`."""

    parameter: str
    value: Expression


class Show(Base, frozen=True, tag="show"):
    """`SHOW name`."""

    parameter: str


class Explain(Base, frozen=True, tag="explain"):
    """How a statement would run (EXPLAIN), runs (PROFILE), or could run better (ADVISE)."""

    verb: ExplainVerb
    of: Runnable


Runnable: TypeAlias = Select | Insert | Update | Remove | CreateIndex | DropIndex | AlterSystem | Show
Statement: TypeAlias = Runnable | Explain
