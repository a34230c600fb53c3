"""A call: a checked request of a known caller, with what an endpoint needs to answer it.

Rules: an endpoint takes a call and returns an answer; it touches the store through `call.session` only, and
leaves the event loop through `call.in_thread` for whatever may take long.

Not here: how the call came about (`server`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import cache
from threading import BoundedSemaphore
from typing import Any, Final, TypeVar

import msgspec

from crdtstore import core, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART, refuse
from crdtstore.auth.keys import KeysHere
from crdtstore.auth.session import Session
from crdtstore.errors import MalformedRequest
from crdtstore.http.cbor import read_cbor
from crdtstore.http.choices import choices_of
from crdtstore.http.headers import actor_of, token_of, txn_of, wait_of
from crdtstore.http.negotiate import choose
from crdtstore.http.request import CBOR, JSON, JSON_LINES, PAYLOAD, Body, Form, Receive, Request
from crdtstore.http.route import Route
from crdtstore.http.store.version import Version
from crdtstore.http.wait import Held, until_applied
from crdtstore.replication.pins import Pins

Result = TypeVar("Result")


class Call(msgspec.Struct, frozen=True, eq=False):
    """One request on its way to its answer.

    `wait_seconds` is how long it may wait for a transaction, `held` who waits, `pins` what other stores join from,
    `backups` and `transfers` how many more backups and files may be on their way at once, `form` what the body is,
    `content` the body itself, which a route that streams reads within `body_seconds`, `parameters` what the path says.
    """

    request: Request
    body: bytes
    session: Session
    receive: Receive
    threads: Executor
    wait_seconds: float
    held: Held
    pins: Pins
    backups: BoundedSemaphore
    transfers: BoundedSemaphore
    content: Body
    body_seconds: float
    form: Form
    route: Route
    parameters: Mapping[str, str]
    keyring: KeyRing

    def __repr__(self) -> str:
        """Nothing of its body, nor of what it holds."""
        return f"Call({self.request!r})"

    @property
    def keys(self) -> KeysHere:
        """The store's API keys, in the hands of the caller.

        Raises:
            Forbidden: The caller's key may not do everything.
        """
        self.session.check_full()
        return KeysHere(self.keyring, token_of(self.request).partition(FIXED_PART)[0])

    async def check_key(self) -> None:
        """Ask again whether the caller is let in, in the midst of an answer that goes on.

        Raises:
            Unauthenticated: The key was revoked, has ended, or was made anew with other rights.
            Overloaded: That cannot be told now.
        """
        permission = await self.keyring.authenticate(token_of(self.request), self.request.address)
        if not self.session.is_for(permission):
            refuse()

    @property
    def version(self) -> Version:
        """The version of the store API that is spoken."""
        assert self.route.version is not None
        return self.route.version

    @property
    def preferred(self) -> bytes:
        """The media type that the caller wants, of those that the route gives."""
        return choose(self.request.headers.get(b"accept"), self.route.gives)

    async def until_readable(self, *collections: str) -> None:
        """Wait for the transaction that the caller names in `X-DITTO-TXN-ID`, if it names one.

        Raises:
            MalformedRequest: The header is not a transaction id.
            MalformedClientId: `X-DITTO-CLIENT-ID`, which a read may leave out, is there and malformed.
            VersionNotAvailable: The deadline passed.
        """
        actor_of(self.request)
        txn = txn_of(self.request)
        if txn is not None:
            seconds = wait_of(self.request, self.wait_seconds)
            await until_applied(self.session, collections, txn, seconds, self.receive, self.held)

    async def decode(self, kind: type[Result]) -> Result:
        """Read the body, strictly, as one of this type; in a thread if it is long."""
        read = READERS[self.form]
        if len(self.body) > limits.INLINE_BODY_BYTES_MAX:
            return await self.in_thread(lambda: read(self.body, kind))
        return read(self.body, kind)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Run what may take long while the event loop goes on."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)


def parse_json(body: bytes, kind: type[Result]) -> Result:
    """Read a body of JSON.

    Raises:
        MalformedJson: It is none, or not strict.
        MalformedRequest: It is, and is not what the endpoint takes; names the JSON path.
    """
    core.scan_json(body, limits.JSON_DEPTH_MAX)
    try:
        read: Result = decoder_of(kind).decode(body)  # type: ignore[arg-type]  # every type can be hashed
    except msgspec.MsgspecError as error:
        raise misfit(error, kind) from None
    return read


@cache
def decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    """What reads JSON as a type; there are as many as endpoints."""
    return msgspec.json.Decoder(kind)


def parse_cbor(body: bytes, kind: type[Result]) -> Result:
    """Read a body of CBOR.

    Raises:
        MalformedRequest: It is none, or not what the endpoint takes; names the path.
    """
    value = read_cbor(body)
    try:
        return msgspec.convert(value, kind)
    except msgspec.MsgspecError as error:
        raise misfit(error, kind) from None


READERS: Final = {JSON: parse_json, PAYLOAD: parse_json, JSON_LINES: parse_json, CBOR: parse_cbor}
"""What reads a body as one value, by its form; one line is that, too."""


def misfit(error: msgspec.MsgspecError, kind: Any) -> MalformedRequest:
    """Say which place of a body does not fit, and what may stand there; msgspec writes `what - at `path``."""
    text = str(error).replace("Object contains unknown field", "unknown field")
    what, _, place = text.partition(" - at ")
    path = place.strip("`") or "$"
    allowed = choices_of(kind, path) if what.startswith("Invalid") else ()
    if not allowed:
        return MalformedRequest(f"The body does not fit at {path}: {what}.", path=path)
    words = ", ".join(map(repr, allowed))
    return MalformedRequest(f"The body does not fit at {path}: {what}; allowed: {words}.", path=path, allowed=allowed)
