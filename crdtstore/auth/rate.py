"""How often somebody may ask: token buckets, one for each name, in a bounded table.

Rules: a bucket is full at first and holds so many tokens; each time takes one, and they come back at a steady rate. A
name that was not seen for long is forgotten, which leaves it a full bucket: it would have one by then. Beyond
RATE_NAMES_MAX the ones that asked longest ago are forgotten sooner, so who has that many names has as many buckets.

Not here: who is asked about, and what a refusal looks like (`http/server.py`, `api_key`).
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from crdtstore import limits
from crdtstore.errors import Overloaded

NETWORK_BITS = 64
"""Of an IPv6 address: who has one of a network has all of them."""


class Buckets:
    """The buckets of one bound; used on one event loop."""

    def __init__(self, per_second: float, most: float) -> None:
        """Let `most` requests through at once, and so many in each second from then on."""
        self.per_second = per_second
        self.most = most
        self.left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_until(self, name: str, now: float) -> float:
        """How long a name has to wait for a token; 0 where it has one."""
        left = self.tokens(name, now)
        return 0.0 if left >= 1 else (1 - left) / self.per_second

    def tokens(self, name: str, now: float) -> float:
        """The tokens of a name."""
        left, then = self.left.get(name, (self.most, now))
        return min(self.most, left + (now - then) * self.per_second)

    def take(self, name: str, now: float) -> None:
        """Take a token of a name, whether there is one or not."""
        left = self.tokens(name, now)
        self.left[name] = max(left - 1, 0.0), now
        self.left.move_to_end(name)
        if len(self.left) > limits.RATE_NAMES_MAX:
            self.left.popitem(last=False)

    def check(self, name: str, now: float, who: str) -> None:
        """Take a token, or refuse.

        Raises:
            Overloaded: There is none; `data` says how long until there is.
        """
        seconds = self.seconds_until(name, now)
        if seconds > 0:
            raise too_often(who, seconds, self.per_second)
        self.take(name, now)


def too_often(who: str, seconds: float, per_second: float) -> Overloaded:
    """Say that somebody asks too often."""
    message = f"{who} asks more often than {per_second:g} times a second: ask again in {seconds:.1f} seconds."
    return Overloaded(message, retry_after_seconds=round(seconds, 3))


def network_of(address: str) -> str:
    """What stands for an address: itself, or its network where one caller has all of that."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address) or found.ipv4_mapped is not None:
        return str(getattr(found, "ipv4_mapped", None) or found)
    return str(IPv6Address(int(found) >> NETWORK_BITS << NETWORK_BITS))
