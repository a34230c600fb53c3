"""What a caller asks of a series: the bodies of requests, and the query strings that say the same.

Rules: what is empty in a query string is not given. `order_by` stands in a body only. Events are one JSON object a
line; the place of what is wrong there is `$[n]`, the n-th event from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from crdtstore import limits
from crdtstore.errors import LimitExceeded, MalformedJson, MalformedRequest
from crdtstore.http.call import Call, parse_json
from crdtstore.http.headers import arguments_of
from crdtstore.http.request import Request

Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
TTL: Final = b"x-event-ttl-seconds"
TRUTHS: Final = {"true": True, "false": False}
NUMBERS: Final = ("limit", "timeout_millis")
TEXTS: Final = ("start", "end", "filter")
LINE_ENDS: Final = b" \t\r"


class Asked(msgspec.Struct, frozen=True):
    """Which events are asked for; keys that are not named here are tolerated."""

    start: str | None = None
    end: str | None = None
    limit: Natural | None = None
    filter: str | None = None
    fill_template: dict[str, Any] | None = None
    timeout_millis: Natural | None = None
    describe: bool = False
    order_by: tuple[tuple[str | int | float, ...], ...] | None = None
    """Pairs of a path and a direction."""

    @property
    def order(self) -> tuple[str, ...]:
        """The order as paths, each with a minus before it where it is descending.

        Raises:
            MalformedRequest: A pair is none, or its direction is neither positive nor negative.
        """
        return tuple(read_key(pair, f"$.order_by[{number}]") for number, pair in enumerate(self.order_by or ()))


def read_key(pair: tuple[str | int | float, ...], place: str) -> str:
    """A pair of a path and a direction, as a path with its sign."""
    match pair:
        case (str() as path, int() | float() as sign) if sign:
            return f"-{path}" if sign < 0 else path
    raise MalformedRequest(f"At {place} a path and a direction, 1 or -1, are expected.", path=place)


class AskedValues(msgspec.Struct, frozen=True):
    """Whose different values are asked for: paths as texts, or as lists of keys."""

    paths: tuple[str | tuple[str, ...], ...]
    start: str | None = None
    end: str | None = None
    timeout_millis: Natural | None = None


def seconds_of(timeout_millis: int | None, default: float = limits.LISTING_SECONDS_MAX) -> float:
    """How long reading may take: what the caller gives it, never more than the server does."""
    return default if timeout_millis is None else min(timeout_millis / 1_000, limits.LISTING_SECONDS_MAX)


async def read_asked(call: Call) -> Asked:
    """What a request asks for: in its body, if there is one, else in its query string."""
    return await call.decode(Asked) if call.body else read_arguments(arguments_of(call.request))


def read_arguments(arguments: Mapping[str, str]) -> Asked:
    """What a query string asks for.

    Raises:
        MalformedRequest: An argument is not what it should be; names it.
    """
    given = {name: text for name, text in arguments.items() if text}
    if "order_by" in given:
        raise MalformedRequest("`order_by` stands in a body of JSON, not in the query string.", argument="order_by")
    read: dict[str, Any] = {name: given[name] for name in TEXTS if name in given}
    read |= {name: read_number(name, given[name]) for name in NUMBERS if name in given}
    if "describe" in given:
        if given["describe"] not in TRUTHS:
            raise MalformedRequest("`describe` is true or false.", argument="describe")
        read["describe"] = TRUTHS[given["describe"]]
    if "fill_template" in given:
        read["fill_template"] = parse_json(given["fill_template"].encode(), dict[str, Any])
    return Asked(**read)


def read_number(name: str, text: str) -> int:
    """A number in decimal digits.

    Raises:
        MalformedRequest: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < len(str(limits.INT_MAX))):
        raise MalformedRequest(f"`{name}` is a number from 0, in decimal digits.", argument=name)
    return int(text)


def read_ttl(request: Request) -> int | None:
    """How long events live that do not say so, from `X-EVENT-TTL-SECONDS`, if it is there."""
    text = request.headers.get(TTL)
    return None if text is None else read_number("X-EVENT-TTL-SECONDS", text.decode("latin-1"))


def read_events(body: bytes) -> list[dict[str, Any]]:
    """The events of a body of JSON Lines; empty lines are none.

    Raises:
        MalformedRequest: A line is no JSON object; names it. Or there is none.
        LimitExceeded: There are more than COMMANDS_MAX.
    """
    lines = [line for line in body.split(b"\n") if line.strip(LINE_ENDS)]
    if not lines:
        raise MalformedRequest("There is no event in the body: one JSON object a line is expected.", path="$[0]")
    if len(lines) > limits.COMMANDS_MAX:
        message = f"The body has {len(lines)} events; one transaction takes at most {limits.COMMANDS_MAX}."
        raise LimitExceeded(message, limit="COMMANDS_MAX", value=len(lines), maximum=limits.COMMANDS_MAX)
    return [read_event(line, f"$[{number}]") for number, line in enumerate(lines)]


def read_event(line: bytes, place: str) -> dict[str, Any]:
    """One event; what is wrong with it is told with its place."""
    try:
        event: dict[str, Any] = parse_json(line, dict[str, Any])
    except MalformedJson as error:
        raise MalformedJson(f"The event {place}: {error.message}", **{**error.data, "path": place}) from None
    except MalformedRequest as error:
        raise MalformedRequest(f"The event {place}: {error.message}", path=place) from None
    return event
