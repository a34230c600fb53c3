"""Which of several media types an answer has: what `Accept` asks for, of what there is.

Rules: the most specific range that names a type decides about it, as HTTP says; of types that are wanted alike the
first that the route gives wins. Who accepts none of them gets the first: an answer is better than a refusal, and says
its type.

Not here: how a body is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from crdtstore import limits

RANGE_FORM: Final = re.compile(
    rb"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;[^,]*?\bq=([01](?:\.[0-9]{0,3})?))?[^,]*",
)


@lru_cache(limits.CONNECTIONS_MAX)
def ranges_of(accept: bytes) -> dict[bytes, float]:
    """How much each media range is wanted."""
    parts = (RANGE_FORM.fullmatch(part) for part in accept.split(b","))
    return {match[1].lower(): float(match[2] or 1) for match in parts if match is not None}


def choose(accept: bytes | None, given: Sequence[bytes]) -> bytes:
    """The media type of an answer.

    Args:
        accept: The header, if there is one.
        given: The types that the route can give, the preferred one first.
    """
    if not accept:
        return given[0]
    ranges = ranges_of(accept)
    best = max(given, key=lambda media_type: wanted(ranges, media_type))
    return best if wanted(ranges, best) > 0 else given[0]


def wanted(ranges: dict[bytes, float], media_type: bytes) -> float:
    """How much a type is wanted, from 0 to 1."""
    family = media_type.partition(b"/")[0] + b"/*"
    return next((ranges[name] for name in (media_type, family, b"*/*") if name in ranges), 0.0)
