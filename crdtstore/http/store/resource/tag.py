"""An entity tag names the state of a document: its digest in hex, which is the same on every store that holds the same.

Rules: a tag is strong, and one for all forms in which a document is shown. If-Match compares strongly, If-None-Match
weakly (RFC 9110). A tag that is none of ours matches nothing.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from crdtstore import limits
from crdtstore.command.condition import Condition
from crdtstore.errors import MalformedRequest
from crdtstore.http.request import Request

TAG: Final = re.compile(rb'[\t ]*(W/)?"([!#-~\x80-\xff]*)"[\t ]*(?:,|\Z)')
DIGEST: Final = re.compile(rb"[0-9a-f]{32}")
ANY: Final = b"*"


class Tags(NamedTuple):
    """What a header names: digests; or, where `every`, whatever is there."""

    every: bool
    digests: frozenset[bytes]

    def match(self, digest: bytes) -> bool:
        """Whether they match a document that is there."""
        return self.every or digest in self.digests


def tag_of(digest: bytes) -> tuple[bytes, bytes]:
    """The header that tells a document's tag."""
    return b"etag", b'"%b"' % digest.hex().encode()


def tags_of(request: Request, header: bytes, *, weak: bool) -> Tags | None:
    """Read If-Match or If-None-Match, if it is there; `weak` takes weak tags for strong ones.

    Raises:
        MalformedRequest: It is neither `*` nor a list of entity tags.
    """
    text = request.headers.get(header)
    if text is None:
        return None
    if text.strip() == ANY:
        return Tags(every=True, digests=frozenset())
    digests, place = [], 0
    while place < len(text):
        found = TAG.match(text, place)
        if found is None or len(text) > limits.HEADER_BYTES_MAX:
            raise MalformedRequest(f'{header.decode()} is `*`, or entity tags in quotes: "...", "...".')
        place = found.end()
        if DIGEST.fullmatch(found[2]) and (weak or found[1] is None):
            digests.append(bytes.fromhex(found[2].decode()))
    return Tags(every=False, digests=frozenset(digests))


def conditions_of(request: Request, collection: str, id_: str) -> tuple[Condition, ...]:
    """What a write demands of the document, which is named in any case."""
    wanted = tags_of(request, b"if-match", weak=False)
    unwanted = tags_of(request, b"if-none-match", weak=True)
    demanded = [
        Condition(collection, id_, None if tags.every else tags.digests, holds)
        for tags, holds in ((wanted, True), (unwanted, False))
        if tags is not None
    ]
    return tuple(demanded) or (Condition(collection, id_),)
