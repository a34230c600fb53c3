"""What is asked of the change feed: read from the query string, `Accept` and `Last-Event-ID`.

Rules: a reader who comes back says where it was in `Last-Event-ID`, which counts more than `since`: readers of
Server-Sent Events repeat the address that they began with. A page begins with the log unless it says where, a reader
who waits begins now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias, cast, get_args

import msgspec

from crdtstore import limits
from crdtstore.errors import LimitExceeded, MalformedRequest
from crdtstore.http.call import Call
from crdtstore.http.event_stream import MEDIA_TYPE
from crdtstore.http.headers import arguments_of, last_event_of
from crdtstore.http.negotiate import choose
from crdtstore.http.request import JSON_LINES
from crdtstore.http.store.answers import Natural

Feed: TypeAlias = Literal["normal", "longpoll", "continuous"]
Form: TypeAlias = Literal["changes", "original"]

NOW: Final = "now"


class ChangesArguments(msgspec.Struct):
    """Which events, from where on, and how they are told."""

    since: Natural | Literal["now"] | msgspec.UnsetType = msgspec.UNSET
    collection: Annotated[str, msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    query: str | msgspec.UnsetType = msgspec.UNSET
    language: Literal["legacy", "rql", "platform"] = "legacy"
    limit: Natural | msgspec.UnsetType = msgspec.UNSET
    feed: Feed | msgspec.UnsetType = msgspec.UNSET
    form: Form = "changes"


class Asked(msgspec.Struct, frozen=True):
    """The same, read; `since` is None for the newest transaction."""

    since: int | None
    collections: tuple[str, ...] | None
    query: str | None
    language: str
    limit: int | None
    feed: Feed
    server_sent: bool
    original: bool


def read_asked(call: Call) -> Asked:
    """Read what a call asks.

    Raises:
        MalformedRequest: A name has a value that it cannot have.
        LimitExceeded: `limit` is 0 or beyond FIND_LIMIT_MAX.
    """
    arguments = arguments_of(call.request, ("collection",))
    media_type = choose(call.request.headers.get(b"accept"), call.route.gives)
    streams = media_type in {MEDIA_TYPE, JSON_LINES.media_type}
    feed = cast("Feed", word_of(arguments, "feed", get_args(Feed), "continuous" if streams else "normal"))
    names = [name for name in arguments.get("collection", "").split(",") if name]
    if "collection" in arguments and not names:
        raise MalformedRequest("`collection` names at least one collection; leave it out for all.")
    since = last_event_of(call.request)
    return Asked(
        since=since_of(arguments, 0 if feed == "normal" else None) if since is None else since,
        collections=tuple(names) or None,
        query=arguments.get("query"),
        language=arguments.get("language", "legacy"),
        limit=limit_of(arguments),
        feed=feed,
        server_sent=media_type == MEDIA_TYPE,
        original=word_of(arguments, "form", get_args(Form), "changes") == "original",
    )


def word_of(arguments: Mapping[str, str], name: str, words: tuple[str, ...], default: str) -> str:
    """One of some words."""
    word = arguments.get(name, default)
    if word not in words:
        raise MalformedRequest(f"`{name}` is one of {', '.join(words)}.", argument=name)
    return word


def since_of(arguments: Mapping[str, str], default: int | None) -> int | None:
    """The transaction behind which to begin."""
    text = arguments.get("since")
    if text is None or text == NOW:
        return default if text is None else None
    return number_of("since", text)


def limit_of(arguments: Mapping[str, str]) -> int | None:
    """How many events are wanted."""
    if "limit" not in arguments:
        return None
    limit = number_of("limit", arguments["limit"])
    if not 0 < limit <= limits.FIND_LIMIT_MAX:
        message = f"`limit` is a number from 1 to {limits.FIND_LIMIT_MAX}."
        raise LimitExceeded(message, limit="FIND_LIMIT_MAX", value=limit, maximum=limits.FIND_LIMIT_MAX)
    return limit


def number_of(name: str, text: str) -> int:
    """A natural number."""
    if not (text.isascii() and text.isdigit() and len(text) < len(str(limits.INT_MAX))):
        raise MalformedRequest(f"`{name}` is a number from 0, in decimal digits.", argument=name)
    return int(text)
