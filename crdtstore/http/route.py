"""A route: one path, its endpoint, and what a request there may be.

Rules: a segment in braces is a parameter, one segment long. A route belongs to at most one version of an API, which
says how its answers and errors look.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from crdtstore.http.described import UNDESCRIBED, Described
from crdtstore.http.request import JSON, Form

if TYPE_CHECKING:
    from crdtstore.http.call import Call
    from crdtstore.http.respond import Answer
    from crdtstore.http.store.version import Version

ErrorForm: TypeAlias = Literal["both", "error", "message", "statement", "problem", "login"]
"""How an error is written: see `faults`."""


class Route(NamedTuple):
    """One path: its endpoint, the methods that it has, whether a request there must have a body, and of which forms."""

    path: str
    methods: tuple[str, ...]
    endpoint: Callable[[Call], Awaitable[Answer]]
    takes_body: bool = True
    forms: tuple[Form, ...] = (JSON,)
    gives: tuple[bytes, ...] = (JSON.media_type,)
    """The media types of its answers; the endpoint writes the first."""

    streams: bool = False
    """Whether the endpoint reads the body, piece by piece, instead of being given it."""

    version: Version | None = None
    errors: ErrorForm = "both"
    described: Described | Mapping[str, Described] = UNDESCRIBED
    """What it takes and gives, for documents of the API; by method where methods differ."""

    open: bool = False
    """Whether it answers callers without a key, too. Such a path has no parameters."""

    for_strangers: bool = False
    """Whether it is for callers who are not known yet, and reads what they send. Such a path has no parameters."""

    every_site: bool = False
    """Whether pages of every site may call it, whichever origins are allowed. Such a path has no parameters."""

    def described_for(self, method: str) -> Described:
        """What it takes and gives with one of its methods."""
        return self.described if isinstance(self.described, Described) else self.described[method]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of the path, in order."""
        return tuple(segment[1:-1] for segment in self.path.split("/") if segment.startswith("{"))
