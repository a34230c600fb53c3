"""Sentences about statements that callers know word for word, without capital and full stop as they are public.

Rules: an error of this language holds one of these as `description` in its data where one fits.
"""

from __future__ import annotations

from typing import Final

EXPECTED_UNIQUE_IDS: Final = "Expected unique document identifiers"
ID_NOT_MODIFIABLE: Final = "The document id _id cannot be modified"
NOT_ON_REGISTER: Final = "Unsupported DML operation on REGISTER field"
STAR_WITH_OTHERS: Final = "unqualified * with other projection elements is not supported"
NO_JOINS: Final = "Unsupported feature: Joining"


def parameter_not_provided(name: str) -> str:
    """A parameter without a value."""
    return f"Parameter {name} was not provided"


def modified_twice(path: str) -> str:
    """A path that one statement changes twice."""
    return f"More than one modification specified for the path {path}"


def ambiguous(name: str) -> str:
    """A field that two sources could have."""
    return f"Ambiguous reference to field: {name}"


def id_conflict(id_: str) -> str:
    """A document that is there already."""
    return f'Identifier conflict on document "{id_}": using FAIL conflict policy'


def join_without_index(alias: str) -> str:
    """A join that would read a collection once for each row."""
    return f'Joining to "{alias}" disallowed without appropriate index support. Please run ADVISE for recommendations.'
