"""Two functions that must answer alike: the compiled one is taken, the plain one is held against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What a function gave or raised. Errors are compared by their class."""

    value: Any
    error: Exception | None

    def alike(self, other: Answer) -> bool:
        """Whether both gave the same, by what is printed: 1, 1.0 and True are three values, and NaN is one."""
        if self.error is not None or other.error is not None:
            return type(self.error) is type(other.error)
        return repr(self.value) == repr(other.value)


def answer_of(function: Callable[[bytes], Any], data: bytes) -> Answer:
    """What a function gives or raises."""
    try:
        return Answer(function(data), None)
    except Exception as error:  # noqa: BLE001  any error is an answer, and compared
        return Answer(None, error)


def both(compiled: Callable[[bytes], Any], plain: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A function that answers as the compiled one does, and fails where the plain one answers otherwise.

    Both must look up what they call when they are called, so that a planted bug is seen.
    """

    def take(data: bytes) -> Any:
        one, other = answer_of(compiled, data), answer_of(plain, data)
        same = one.alike(other)
        assert same, f"compiled: {one!r:.300}; plain: {other!r:.300}"
        if one.error is not None:
            raise one.error
        return one.value

    return take
