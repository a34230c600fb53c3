"""The functions of the statement language, by name: how many arguments each takes.

Not here: what they give (`functions`, `aggregates`).
"""

from __future__ import annotations

from typing import Final, NamedTuple, get_args

from crdtstore.query.dql.expression import AggregateName


class Arity(NamedTuple):
    """The fewest and the most arguments; None where there is no most."""

    least: int
    most: int | None

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least}"
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


ONE: Final = Arity(1, 1)
TWO: Final = Arity(2, 2)
THREE: Final = Arity(3, 3)

FUNCTIONS: Final[dict[str, Arity]] = {
    "abs": ONE,
    "array_contains": TWO,
    "array_contains_null": ONE,
    "array_length": ONE,
    "byte_length": ONE,
    "ceil": ONE,
    "char_length": ONE,
    "character_length": ONE,
    "clock": Arity(0, 0),
    "coalesce": Arity(1, None),
    "concat": Arity(1, None),
    "contains": TWO,
    "date_add": THREE,
    "date_cast": TWO,
    "date_diff": THREE,
    "date_format": TWO,
    "date_part": TWO,
    "date_sub": THREE,
    "date_trunc": TWO,
    "decode": Arity(3, None),
    "deserialize_json": ONE,
    "ends_with": TWO,
    "floor": ONE,
    "ifmissing": Arity(2, None),
    "is_boolean": ONE,
    "is_number": ONE,
    "is_string": ONE,
    "ismissingornull": ONE,
    "nvl": TWO,
    "object_keys": ONE,
    "object_length": ONE,
    "object_size": ONE,
    "object_values": ONE,
    "regexp_like": Arity(2, 3),
    "starts_with": TWO,
    "type": ONE,
    "tz_offset": TWO,
}
"""Functions of the values of one row."""

AGGREGATES: Final[frozenset[str]] = frozenset(get_args(AggregateName))
"""Functions of all rows of a group."""
