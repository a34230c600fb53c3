"""Access tokens: who brings one that a known key signed is let in until it ends, with the permission that is in it.

Rules:

- The key is the one that a token names, and its algorithm is the key's. The library computes; it chooses nothing.
- A token is for one app, where apps have ids, and for `sync`. It ends, and no later than the longest life from now.
- A token that was verified is remembered until it ends, under a keyed hash whose own key lives with this process; when
  the keys change, nothing counts that was remembered.
- Signatures are computed in a thread of their own, never on the event loop.

Not here: the form of a token (`token_form`), where keys come from (`token_keys`).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jws import JWSRegistry

from crdtstore import limits
from crdtstore.auth.credential import SUBJECT, Caller
from crdtstore.auth.key_form import refuse
from crdtstore.auth.permission_form import PermissionForm, permission_of
from crdtstore.auth.token_form import AUDIENCE, Claims, Header, Token, read_token, strictly
from crdtstore.auth.token_keys import TokenKey, TokenKeys
from crdtstore.errors import CallerError, Overloaded


class Remembered(NamedTuple):
    """A token that was verified: who it lets in, with which keys, and until when in seconds since 1970."""

    caller: Caller
    generation: int
    until: float


class Issued(NamedTuple):
    """A token that was just signed, and when it ends in seconds since 1970."""

    text: str
    until: int

    def __repr__(self) -> str:
        """Nothing of it: it is a secret."""
        return f"Issued(until={self.until})"


class Registry(JWSRegistry):
    """The library's algorithms, without its warning about the name that this API documents for Ed25519."""

    def get_alg(self, name: str) -> JWSAlgModel:
        """The algorithm of a key; there is one at a time."""
        assert self.allowed is not None
        return self.algorithms[name] if name in self.allowed else refuse()


class Tokens:
    """The tokens of a server; used on one event loop, but for `verify` and `sign`."""

    def __init__(
        self,
        keys: TokenKeys,
        *,
        seconds_max: float = limits.TOKEN_SECONDS_DEFAULT,
        issuer: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take tokens that these keys signed.

        Args:
            keys: The keys.
            seconds_max: How long a token may last from now.
            issuer: Who signs with the keys that are not the store's own; None for anyone who has one.
            monotonic: The clock by which files of keys are looked at.
            clock: The clock, in seconds since 1970, by which tokens end.
        """
        self.keys = keys
        self.seconds_max = seconds_max
        self.issuer = issuer
        self.monotonic = monotonic
        self.clock = clock
        self.hasher = hashlib.blake2b(key=os.urandom(32))
        self.verified: OrderedDict[bytes, Remembered] = OrderedDict()
        self.waiting = 0
        self.thread = ThreadPoolExecutor(1, "crdtstore-token")

    def close(self) -> None:
        """End the thread."""
        self.thread.shutdown(wait=True)

    async def authenticate(self, text: str, app: str | None) -> Caller:
        """Find out whom a token lets in.

        Args:
            text: The token.
            app: The id of the app that is asked for; None for one without an id, which no token can miss.

        Raises:
            Unauthenticated: It lets nobody in; always with the same message.
            Overloaded: Too many wait to be verified.
        """
        if len(text) > limits.TOKEN_BYTES_MAX:
            refuse()
        mark = self.mark(text, app)
        now = self.monotonic()
        found = self.verified.get(mark)
        if found is not None and found.generation == self.keys.generation and not self.keys.is_stale(now):
            return found.caller if found.until > self.clock() else refuse()
        token = read_token(text)
        found = await self.apart(token, app)
        self.remember(mark, found)
        return found.caller

    async def apart(self, token: Token, app: str | None) -> Remembered:
        """Do what `verify` does in the thread, in its turn."""
        if self.waiting >= limits.TOKENS_WAITING_MAX:
            raise Overloaded(f"{self.waiting} tokens wait to be verified; no more can be taken now.")
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, self.verify, token, app)
        finally:
            self.waiting -= 1

    def verify(self, token: Token, app: str | None) -> Remembered:
        """Look at the keys if it is time to, then at the signature and the claims.

        Raises:
            Unauthenticated: The token lets nobody in.
        """
        now = self.monotonic()
        if self.keys.is_due(token.header.kid, now):
            self.keys.look(now)
        generation = self.keys.generation
        key = self.keys.keys.get(token.header.kid) or refuse()
        check_signature(token, key)
        claims = strictly(token.claims, Claims)
        self.check(claims, key, app)
        return Remembered(caller_of(claims), generation, claims.exp)

    def check(self, claims: Claims, key: TokenKey, app: str | None) -> None:
        """Refuse a token that is not for here and now."""
        now = self.clock()
        ahead = now + limits.TOKEN_SKEW_SECONDS
        in_time = now < claims.exp <= ahead + self.seconds_max
        begun = max(claims.nbf or 0, claims.iat or 0) <= ahead
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        is_ours = AUDIENCE in audiences and (app is None or claims.app == app)
        is_own = self.keys.signing is not None and key.kid == self.keys.signing.kid
        if not in_time or not begun or not is_ours or claims.iss != (None if is_own else self.issuer or claims.iss):
            refuse()

    def mark(self, text: str, app: str | None) -> bytes:
        """Hash a token for an app under the key of this process: what it is remembered by."""
        hasher = self.hasher.copy()
        hasher.update(f"{app or ''} {text}".encode(errors="surrogatepass"))
        return hasher.digest()

    def remember(self, mark: bytes, found: Remembered) -> None:
        """Keep what a token says until it ends, and let the oldest go beyond the bound."""
        self.verified.pop(mark, None)
        self.verified[mark] = found
        if len(self.verified) > limits.TOKEN_CACHE_ENTRIES_MAX:
            self.verified.popitem(last=False)

    def sign(self, subject: str, app: str, form: PermissionForm, seconds: float) -> Issued:
        """Make a token.

        Args:
            subject: Whose it is.
            app: The id of the app.
            form: What he may do.
            seconds: How long it is to last; at most the longest life.

        Raises:
            CallerError: There is no key to sign with, or it would be none that is taken.
        """
        key = self.keys.signing
        if key is None:
            raise CallerError("There is no key to sign tokens with.")
        now = int(self.clock())
        until = now + int(min(seconds, self.seconds_max))
        perm = msgspec.to_builtins(form)
        version = perm.pop("qlVersion", 0)
        claims = {"sub": subject, "app": app, "aud": [AUDIENCE], "iat": now, "nbf": now, "exp": until, "perm": perm}
        header = msgspec.to_builtins(Header(key.algorithm, key.kid))
        payload = msgspec.json.encode({**claims, "qlv": version})
        text = jws.serialize_compact(header, payload, key.key, registry=Registry(algorithms=[key.algorithm]))
        if len(text) > limits.TOKEN_BYTES_MAX or not is_subject(subject):
            most = limits.TOKEN_BYTES_MAX
            raise CallerError(f"A token has at most {most} bytes; this permission and this name make a longer one.")
        return Issued(text, until)


def check_signature(token: Token, key: TokenKey) -> None:
    """Refuse a token that this key has not signed with its algorithm."""
    if token.header.alg != key.algorithm:
        refuse()
    try:
        jws.deserialize_compact(token.text, key.key, registry=Registry(algorithms=[key.algorithm]))
    except (JoseError, ValueError, TypeError):
        refuse()


def caller_of(claims: Claims) -> Caller:
    """Who a token lets in; one whose permission is none lets nobody in."""
    form = claims.perm if claims.qlv is None else msgspec.structs.replace(claims.perm, ql_version=claims.qlv)
    if not is_subject(claims.sub):
        refuse()
    try:
        return Caller(permission_of(form), SUBJECT + claims.sub)
    except CallerError:
        refuse()


def is_subject(text: str) -> bool:
    """Whether a token may be whose."""
    return 1 <= len(text) <= limits.TOKEN_SUBJECT_CHARACTERS_MAX and text.isprintable()
