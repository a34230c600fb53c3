"""A call: a checked request of a known caller, with what an endpoint needs to answer it.

Rules: an endpoint takes a call and returns an answer; it touches the store through `call.session` only, and
leaves the event loop through `call.in_thread` for whatever may take long.

Not here: how the call came about (`server`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import TypeVar

import msgspec

from crdtstore import core, limits
from crdtstore.auth.session import Session
from crdtstore.errors import MalformedRequest
from crdtstore.http.request import Form, Receive, Request, actor_of, txn_of
from crdtstore.http.route import Route
from crdtstore.http.store.version import Version
from crdtstore.http.wait import Held, until_applied
from crdtstore.replication.pins import Pins

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way to its answer.

    `wait_seconds` is how long it may wait for a transaction, `held` who waits, `pins` what other stores join from,
    `backups` how many more backups may be sent at once, `form` what the body is, `parameters` what the path says.
    """

    request: Request
    body: bytes = field(repr=False)
    session: Session
    receive: Receive = field(repr=False)
    threads: Executor = field(repr=False)
    wait_seconds: float
    held: Held = field(repr=False)
    pins: Pins = field(repr=False)
    backups: BoundedSemaphore = field(repr=False)
    form: Form
    route: Route
    parameters: Mapping[str, str]

    @property
    def version(self) -> Version:
        """The version of the store API that is spoken."""
        assert self.route.version is not None
        return self.route.version

    async def until_readable(self, collection: str) -> None:
        """Wait for the transaction that the caller names in `X-DITTO-TXN-ID`, if it names one.

        Raises:
            MalformedRequest: The header is not a transaction id.
            MalformedClientId: `X-DITTO-CLIENT-ID`, which a read may leave out, is there and malformed.
            VersionNotAvailable: The deadline passed.
        """
        actor_of(self.request)
        txn = txn_of(self.request)
        if txn is not None:
            await until_applied(self.session, collection, txn, self.wait_seconds, self.receive, self.held)

    async def decode(self, parse: Callable[[bytes], Result]) -> Result:
        """Check that the body is strict JSON and parse it, in a thread if it is long.

        Args:
            parse: Takes the body.
        """
        body = self.body
        if len(body) > limits.INLINE_BODY_BYTES_MAX:
            return await self.in_thread(lambda: scan_and_parse(body, parse))
        return scan_and_parse(body, parse)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Run what may take long while the event loop goes on."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)


def scan_and_parse(body: bytes, parse: Callable[[bytes], Result]) -> Result:
    """Parse a body that is strict JSON.

    Raises:
        MalformedJson: It is not.
        MalformedRequest: It is, and is not what the endpoint takes; names the JSON path.
    """
    core.scan_json(body, limits.JSON_DEPTH_MAX)
    try:
        return parse(body)
    except msgspec.MsgspecError as error:
        raise misfit(error) from None


def misfit(error: msgspec.MsgspecError) -> MalformedRequest:
    """Say which place of a body does not fit; msgspec writes `what - at `path``."""
    what, _, place = str(error).partition(" - at ")
    path = place.strip("`") or "$"
    return MalformedRequest(f"The body does not fit at {path}: {what}.", path=path)
