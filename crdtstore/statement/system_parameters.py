"""What can be set of a store while it runs: `ALTER SYSTEM SET name = value`, and `SHOW name`.

Rules: this table is all there is. What is set is a row of the store: it holds for every statement that begins from then
on, of all callers, over restarts too; it is not replicated. Null takes it back. Names have no case.

Not here: the settings of a server (`settings.py`), bounds that never change (`limits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

import msgspec

from crdtstore.errors import InvalidQuery, InvalidValue
from crdtstore.limits import (
    INT_MAX,
    STATEMENT_EXAMINED_MAX,
    STATEMENT_SECONDS_DEFAULT,
    STATEMENT_SECONDS_MAX,
    STATEMENT_SECONDS_MIN,
)
from crdtstore.query.dql.profile import is_strict, with_strictness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.profile import Profile
    from crdtstore.storage.interface import Storage

PREFIX: Final = b"system-parameter/"
"""Of the rows' keys."""


class SystemParameter(NamedTuple):
    """One of them. Without a default it is what the version of the language says."""

    type: Literal["boolean", "integer", "number"]
    default: bool | float | None
    least: float
    greatest: float
    text: str

    @property
    def takes(self) -> str:
        """What it can be set to, in words."""
        if self.type == "boolean":
            return "true or false"
        what = "an integer" if self.type == "integer" else "a number"
        return f"{what} from {self.least:g} to {self.greatest if self.type == 'integer' else f'{self.greatest:g}'}"

    def fits(self, value: Value) -> bool:
        """Whether it can be set to a value."""
        if self.type == "boolean" or value.__class__ not in (int, float):
            return self.type == "boolean" and value.__class__ is bool
        number: Any = value
        return (self.type == "number" or value.__class__ is int) and self.least <= number <= self.greatest


STRICT_MODE: Final = "DQL_STRICT_MODE"
SECONDS: Final = "STATEMENT_SECONDS"
EXAMINED: Final = "STATEMENT_EXAMINED_MAX"

SYSTEM_PARAMETERS: Final[Mapping[str, SystemParameter]] = MappingProxyType(
    {
        STRICT_MODE: SystemParameter(
            "boolean", None, 0, 1, "Whether fields that hold objects or counters are declared in each statement."
        ),
        SECONDS: SystemParameter(
            "number",
            STATEMENT_SECONDS_DEFAULT,
            STATEMENT_SECONDS_MIN,
            STATEMENT_SECONDS_MAX,
            "How long a statement may take whose caller does not say.",
        ),
        EXAMINED: SystemParameter(
            "integer", STATEMENT_EXAMINED_MAX, 1, INT_MAX, "How many documents one statement may look at."
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What holds in a store."""

    strict: bool | None
    seconds: float
    examined_max: int

    def profile(self, asked: Profile) -> Profile:
        """The profile of a statement whose caller asked for one: who names a version only leaves the rest to this."""
        if self.strict is None or asked not in ("v4", "v5"):
            return asked
        return with_strictness(asked, self.strict)

    def value(self, name: str, profile: Profile) -> bool | float:
        """One by its name, as `SHOW` answers it."""
        by_name = {
            STRICT_MODE: is_strict(self.profile(profile)),
            SECONDS: self.seconds,
            EXAMINED: self.examined_max,
        }
        return by_name[name]


class Host(Protocol):
    """The store, as far as it is needed here."""

    @property
    def storage(self) -> Storage:
        """Where its rows are."""

    def read_setting(self, key: bytes) -> bytes | None:
        """Read a durable row."""

    def write_setting(self, key: bytes, value: bytes | None) -> None:
        """Write a durable row, or remove it."""


class SystemParameters:
    """Those of one store. A store that another process writes to is read anew each time."""

    def __init__(self, store: Host) -> None:
        self.store = store
        self.lock = Lock()
        self.kept: Chosen | None = None

    def chosen(self) -> Chosen:
        """What holds now."""
        kept = self.kept
        if kept is not None:
            return kept
        with self.lock:
            found = self.read()
            if not self.store.storage.read_only:
                self.kept = found
        return found

    def read(self) -> Chosen:
        """What the rows say; one that this version would refuse says nothing."""
        values: list[Any] = []
        for name, parameter in SYSTEM_PARAMETERS.items():
            row = self.store.read_setting(key_of(name))
            value = parameter.default if row is None else msgspec.msgpack.decode(row)
            values.append(value if row is None or parameter.fits(value) else parameter.default)
        return Chosen(*values)

    def set(self, name: str, value: Value) -> None:
        """Set one, durably; None takes it back.

        Raises:
            InvalidQuery: There is none of this name.
            InvalidValue: It takes no such value.
            StoreReadOnly: The store was opened read-only.
        """
        name = known_name(name)
        parameter = SYSTEM_PARAMETERS[name]
        if value is not None and not parameter.fits(value):
            message = f"{name} takes {parameter.takes}, or null for its default; got {value!r:.60}."
            raise InvalidValue(message, name=name)
        with self.lock:
            self.store.write_setting(key_of(name), None if value is None else msgspec.msgpack.encode(value))
            self.kept = None


def key_of(name: str) -> bytes:
    """The key of a row."""
    return PREFIX + name.encode()


def known_name(written: str) -> str:
    """The name of a system parameter, however it is written.

    Raises:
        InvalidQuery: There is none.
    """
    name = written.upper()
    if name not in SYSTEM_PARAMETERS:
        message = f"There is no system parameter {written!r:.60}; there are {', '.join(SYSTEM_PARAMETERS)}."
        raise InvalidQuery(message, reason="unknown-system-parameter", name=written, known=list(SYSTEM_PARAMETERS))
    return name
