"""A stamp names one transaction of one author: (timestamp, actor, origin).

Rules: the order of stamps is the order of these three, everywhere. The origin is part of it because a client
that roams between stores that have not met may be given the same timestamp twice (planted bug `TieWithoutOrigin`).
The field's word is *dot*. A replica is (actor, origin); stores intern it to a number.
"""

from __future__ import annotations

from typing import NamedTuple


class Stamp(NamedTuple):
    """(timestamp, actor, origin); tuple order is the order."""

    timestamp: int
    actor: bytes
    origin: bytes

    @property
    def replica(self) -> bytes:
        """Actor ‖ origin, 32 bytes: what a store interns."""
        return self.actor + self.origin
