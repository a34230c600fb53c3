"""A call: a checked request of a known caller, with what an endpoint needs to answer it.

Rules: an endpoint takes a call and returns an answer; it touches the store through `call.session` only, and
leaves the event loop through `call.in_thread` for whatever may take long.

Not here: how the call came about (`server`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from functools import cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from crdtstore import core, limits
from crdtstore.auth.accounts import AccountsHere
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.credential import Caller
from crdtstore.auth.key_form import refuse
from crdtstore.auth.keys import KeysHere
from crdtstore.auth.session import Session
from crdtstore.errors import MalformedRequest
from crdtstore.http.cbor import read_cbor
from crdtstore.http.channel import Link
from crdtstore.http.choices import choices_of
from crdtstore.http.headers import actor_of, txn_of, wait_of
from crdtstore.http.request import CBOR, JSON, JSON_LINES, MESSAGE, Body, Form, Request
from crdtstore.http.route import Route
from crdtstore.http.store.version import Version
from crdtstore.http.wait import Held, until_applied
from crdtstore.replication.pins import Pins

if TYPE_CHECKING:
    from crdtstore.http.login.login import Login

Result = TypeVar("Result")


class Desk(msgspec.Struct, frozen=True, eq=False):
    """What an app and its server lend to every call.

    `exchange_threads` are for what other stores send, `wait_seconds` says how long a caller may wait for a transaction,
    `held` who waits, `pins` what other stores join from, `backups` and `transfers` how many more backups and files may
    be on their way at once, `body_seconds` how long a body may take, `identify` finds out who the caller of a request
    is, `app` is the app's id if it has one, `login` what lets callers in who are not known yet, if anything does.
    """

    threads: Executor
    exchange_threads: Executor
    wait_seconds: float
    body_seconds: float
    held: Held
    pins: Pins
    backups: BoundedSemaphore
    transfers: BoundedSemaphore
    keyring: KeyRing
    identify: Callable[[Request, Link], Awaitable[Caller]]
    app: str | None
    login: Login | None


class Call(msgspec.Struct, frozen=True, eq=False):
    """One request on its way to its answer.

    `form` is what the body is, `content` the body itself, which a route that streams reads, `parameters` what the path
    says, `preferred` the media type that the caller wants, of those that the route gives, `at_once` whether the head
    names no transaction, to wait for or to read at, `actor` the client ID that it names, if that is one, `who` the
    caller as he stands in logs.
    """

    request: Request
    body: bytes
    session: Session
    content: Body
    form: Form
    route: Route
    parameters: Mapping[str, str]
    preferred: bytes
    at_once: bool
    actor: bytes | None
    who: str
    desk: Desk

    def __repr__(self) -> str:
        """Nothing of its body, nor of what it holds."""
        return f"Call({self.request!r})"

    def gone(self) -> asyncio.Future[None]:
        """A future that is done when the caller goes away; see `Channel`."""
        return self.content.channel.gone()

    @property
    def threads(self) -> Executor:
        """Where it does what may take long."""
        return self.desk.exchange_threads if self.form is MESSAGE else self.desk.threads

    @property
    def keys(self) -> KeysHere:
        """The store's API keys, in the hands of the caller.

        Raises:
            Forbidden: The caller may not do everything.
        """
        self.session.check_full()
        return KeysHere(self.desk.keyring, self.who)

    @property
    def accounts(self) -> AccountsHere:
        """The store's accounts, in the hands of the caller.

        Raises:
            Forbidden: The caller may not do everything.
        """
        self.session.check_full()
        return AccountsHere(self.desk.keyring, self.who)

    async def check_key(self) -> None:
        """Ask again whether the caller is let in, in the midst of an answer that goes on.

        Raises:
            Unauthenticated: The credential was revoked, has ended, or was made anew with other rights.
            Overloaded: That cannot be told now.
        """
        caller = await self.desk.identify(self.request, self.content.channel.link)
        if not self.session.is_for(caller.permission):
            refuse()

    @property
    def version(self) -> Version:
        """The version of the store API that is spoken."""
        assert self.route.version is not None
        return self.route.version

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
            seconds = wait_of(self.request, self.desk.wait_seconds)
            await until_applied(self.session, collections, txn, seconds, self.gone, self.desk.held)

    async def decode(self, kind: type[Result]) -> Result:
        """Read the body, strictly, as one of this type; in a thread if it is long."""
        if len(self.body) > limits.INLINE_BODY_BYTES_MAX:
            return await self.in_thread(lambda: self.read(kind))
        return self.read(kind)

    def read(self, kind: type[Result]) -> Result:
        """Do the same here and now."""
        if self.form.media_type == JSON.media_type:
            return parse_json(self.body, kind)
        return READERS[self.form](self.body, kind)

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


READERS: Final = {JSON_LINES: parse_json, CBOR: parse_cbor}
"""What reads a body as one value, by its form, where it is none of JSON; one line is that, too."""


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
