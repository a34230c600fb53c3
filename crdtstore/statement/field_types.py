"""The types that fields are written as: what `COLLECTION c (field TYPE)` says, and what holds for all other fields.

Rules: in a strict profile what is not declared is REGISTER, an object too, everywhere: fields of a declared MAP have to
be declared inside of it. In a profile that is not strict an undeclared object is MAP, and everything else REGISTER; a
change of what is there goes by what is there. What is declared is written as that type, whatever lives beside it.
PN_COUNTER is another word for COUNTER.

Not here: what a statement sees of fields (`declared`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.crdt.flatten import ATTACHMENT, COUNTER, REGISTER
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.value import check_key
from crdtstore.query.dql.profile import is_strict
from crdtstore.statement.faults import not_on_register, wrong_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.profile import Profile
    from crdtstore.query.dql.statement import Declaration, DeclaredType, Keys, Source

KINDS: Final[Mapping[DeclaredType, str]] = {
    "register": REGISTER,
    "attachment": ATTACHMENT,
    "counter": COUNTER,
    "pn_counter": COUNTER,
}
"""How a value of a declared type is flattened; a MAP's is, field by field."""

COUNTERS: Final = ("counter", "pn_counter")

DEFAULTS: Final[Mapping[DeclaredType, Value]] = {"register": None, "map": {}, "counter": 0, "pn_counter": 0}
"""What a field of a type begins with; an attachment begins with nothing."""


class Types(NamedTuple):
    """The types of the fields of one statement."""

    declared: Mapping[Keys, DeclaredType]
    strict: bool

    def at(self, path: Keys) -> DeclaredType | None:
        """The type of a field; None where what is there, or what is written, says it."""
        return self.declared.get(path, "register" if self.strict else None)


def types_of(source: Source, profile: Profile) -> Types:
    """The types that a statement takes fields for."""
    return Types(dict(flat(source.declarations, ())), is_strict(profile))


def flat(declarations: tuple[Declaration, ...], above: Keys) -> Iterator[tuple[Keys, DeclaredType]]:
    """Declarations with their whole paths."""
    for each in declarations:
        path = (*above, each.name)
        yield path, each.type
        yield from flat(each.inside, path)


def check_above(types: Types, path: Keys) -> None:
    """Refuse a change of a field below one that has no fields.

    Raises:
        InvalidQuery: A field above is no MAP.
    """
    for length in range(1, len(path)):
        above = types.at(path[:length])
        if above == "register":
            raise not_on_register(path[:length])
        if above not in (None, "map"):
            raise wrong_type(path[:length], str(above), "it has no fields")


def check_counter(types: Types, path: Keys) -> None:
    """Refuse APPLY on what is no counter.

    Raises:
        InvalidQuery: The field is of another type.
    """
    kind = types.at(path)
    if kind == "register":
        raise not_on_register(path)
    if kind not in (None, *COUNTERS):
        raise wrong_type(path, str(kind), "APPLY changes counters")


def default_of(types: Types, path: Keys) -> Value:
    """What `f -> default()` sets a field to.

    Raises:
        InvalidQuery: An attachment has no default.
    """
    kind = types.at(path) or "register"
    if kind not in DEFAULTS:
        raise wrong_type(path, kind, "it has no default")
    return DEFAULTS[kind]


def kinds_in(types: Types, fields: Mapping[str, Value], above: Keys = ()) -> dict[bytes, str]:
    """How the fields of an object are flattened (`crdt/flatten.py`), where their own types do not say it.

    Raises:
        InvalidQuery: Something else than an object for a MAP.
    """
    if not types.declared and (not types.strict or not any(value.__class__ is dict for value in fields.values())):
        return {}
    found: dict[bytes, str] = {}
    for key, value in fields.items():
        check_key(key)
        found |= kinds_at(types, value, (*above, key))
    return found


def kinds_at(types: Types, value: Value, path: Keys) -> dict[bytes, str]:
    """The same for one field.

    Raises:
        InvalidQuery: Something else than an object for a MAP.
        LimitExceeded: Nested deeper than DEPTH_MAX.
    """
    kind = types.at(path)
    if kind == "map" and not isinstance(value, dict):
        raise wrong_type(path, kind, f"a {type(value).__name__} was given")
    if kind in (None, "map"):
        return kinds_in(types, value, path) if isinstance(value, dict) else {}
    if kind == "register" and not isinstance(value, dict):
        return {}
    return {encode_path(path): KINDS[kind]}
