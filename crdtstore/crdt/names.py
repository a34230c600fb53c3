"""Names are the numbers that stand for long texts inside stored documents: paths, replicas, origins.

Rules: numbers are dense from 0 and never reused; a name is added in the transaction that first uses it and
taken back when that transaction is refused; every dictionary is bounded. Numbers differ between stores and
never leave one. Both cores read the same lists.

Not here: how names are stored; see `storage/`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from crdtstore.crdt.stamp import Stamp
from crdtstore.errors import Overloaded
from crdtstore.limits import ACTOR_BYTES, PATHS_PER_COLLECTION_MAX, REPLICAS_MAX

FULL = -1


class Names:
    """A bounded dictionary of texts and their numbers.

    `shapes` and `table` are the compiled core's: what it remembers of documents whose paths these are, and the
    texts as it reads them. Both hold as long as no name is taken back, so only `truncate` may shorten `texts`.
    """

    __slots__ = ("maximum", "numbers", "shapes", "table", "texts")

    def __init__(self, texts: Iterable[bytes], maximum: int) -> None:
        self.texts: list[bytes] = list(texts)
        self.numbers: dict[bytes, int] = {text: number for number, text in enumerate(self.texts)}
        self.maximum = maximum
        self.shapes: object = None
        self.table: object = None

    def intern(self, text: bytes) -> int:
        """The number of a text, added if it is new; FULL beyond the bound."""
        number = self.numbers.get(text)
        if number is not None:
            return number
        if len(self.texts) >= self.maximum:
            return FULL
        number = len(self.texts)
        self.texts.append(text)
        self.numbers[text] = number
        return number

    def truncate(self, length: int) -> None:
        """Take back the names beyond the first `length`: their transaction was refused."""
        for text in self.texts[length:]:
            del self.numbers[text]
            self.shapes = self.table = None
        del self.texts[length:]


def paths(texts: Iterable[bytes] = ()) -> Names:
    """The paths of one collection."""
    return Names(texts, PATHS_PER_COLLECTION_MAX)


class Replicas(Names):
    """actor ‖ origin and their numbers, with the number of each one's origin beside it."""

    __slots__ = ("origin_numbers", "origins")

    def __init__(self, texts: Iterable[bytes] = (), origins: Iterable[bytes] = ()) -> None:
        super().__init__(texts, REPLICAS_MAX)
        self.origins = Names(origins, REPLICAS_MAX)
        self.origin_numbers = array("I", (self.origins.intern(text[ACTOR_BYTES:]) for text in self.texts))

    def intern(self, text: bytes) -> int:
        """The number of a replica, added if it is new.

        Raises:
            Overloaded: REPLICAS_MAX replicas are known; clients are to keep their ID.
        """
        number = super().intern(text)
        if number == FULL:
            message = f"This store knows {self.maximum} client IDs, its bound; clients are to keep their ID."
            raise Overloaded(message, limit="REPLICAS_MAX", maximum=self.maximum)
        if number == len(self.origin_numbers):
            self.origin_numbers.append(self.origins.intern(text[ACTOR_BYTES:]))
        return number

    def truncate(self, length: int) -> None:
        """Take back the replicas beyond the first `length`; their origins stay known, which harms nothing."""
        super().truncate(length)
        del self.origin_numbers[length:]

    def stamp(self, number: int, timestamp: int) -> Stamp:
        """Spell out a stamp."""
        text = self.texts[number]
        return Stamp(timestamp, text[:ACTOR_BYTES], text[ACTOR_BYTES:])
