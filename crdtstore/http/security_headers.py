"""The headers that tell a browser to be careful: on every answer, errors of the connection too.

Rules: they are the same bytes every time. An answer is data, so a browser that is brought to show one as a page loads,
runs and frames nothing; a page of ours has a policy of its own. TLS is promised to browsers where it is spoken, but not
for the loopback: the promise is kept for a name whatever the port, and other programs answer there.

Not here: which pages of other sites may call (`cors`), what caches may do (`respond`).
"""

from __future__ import annotations

from typing import Final, TypeAlias

Headers: TypeAlias = "tuple[tuple[bytes, bytes], ...]"

POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"
"""Of what is no page: nothing."""

CAREFUL: Final[Headers] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", POLICY),
)

TLS_ONLY: Final[Headers] = ((b"strict-transport-security", b"max-age=31536000"),)
"""For a year, and for this name alone: what is below it may be another's."""


def careful(policy: bytes) -> Headers:
    """The headers of an answer with a policy of its own."""
    return (*CAREFUL[:-1], (CAREFUL[-1][0], policy))
