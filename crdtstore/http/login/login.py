"""Decides about a login: asks the provider that is named, and signs a token with what it says.

Rules:

- A provider that lets somebody in says who he is, what he may do and for how long. What cannot be enforced, or does not
  fit into a token, lets nobody in; that is the provider's error, told in the log.
- A token lasts as long as the provider says, and no longer than tokens may.
- An address logs in so often, and so many providers are asked at once: whoever comes beyond that is asked to wait.

Not here: the form that is sent and the answer (`routes`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import msgspec

from crdtstore import limits
from crdtstore.auth.permission_form import PermissionForm, permission_of
from crdtstore.auth.rate import Buckets, network_of
from crdtstore.errors import CallerError, MalformedRequest, Overloaded, ProviderFailed, Unauthenticated
from crdtstore.http.login.providers import Anonymous, Provider
from crdtstore.http.login.webhook import FAILED, Asked, Verdict, ask

if TYPE_CHECKING:
    from crdtstore.auth.token import Issued, Tokens

logger = logging.getLogger(__name__)

ANONYMOUS_BYTES: Final = 12
"""Of the name that somebody has who said none."""


class Wanted(NamedTuple):
    """What is sent to log in."""

    app: str
    provider: str
    token: str
    site: str

    def __repr__(self) -> str:
        """Nothing of the token."""
        return f"Wanted({self.app!r}, {self.provider!r})"


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer to a login."""

    result: str = "success"
    user_id: str
    identity_b64: str = msgspec.field(name="identityB64")
    access_token: str
    access_expiry: str
    refresh_token: None = None
    refresh_expiry: None = None
    audiences: list[str]
    client_info: Any = None

    def __repr__(self) -> str:
        """Nothing of the token."""
        return f"LoggedIn({self.user_id!r})"


class Granted(NamedTuple):
    """What a provider grants, and to whom."""

    user: str
    form: PermissionForm
    seconds: int
    metadata: dict[str, Any]
    client_info: Any = None


class Login:
    """The logins of a server; used on one event loop."""

    def __init__(self, providers: Mapping[str, Provider], tokens: Tokens) -> None:
        """Log in with these providers, for tokens of these keys."""
        self.providers = providers
        self.tokens = tokens
        self.often = Buckets(limits.LOGINS_PER_SECOND, limits.LOGINS_MAX)
        self.asking = 0

    async def log_in(self, wanted: Wanted, app: str | None, address: str) -> LoggedIn:
        """Log somebody in.

        Args:
            wanted: What was sent.
            app: The id of the app that was called, if it has one.
            address: From where it came.

        Raises:
            MalformedRequest: There is no such provider, or another app is meant.
            Unauthenticated: The provider refuses.
            ProviderFailed: The provider does not say.
            Overloaded: It is to be tried again later.
        """
        self.often.check(network_of(address), monotonic(), "This address")
        provider = self.providers.get(wanted.provider)
        if provider is None:
            refuse_provider()
        if app is not None and wanted.app != app:
            raise MalformedRequest("appId names another app than the one that was called.")
        granted = granted_to_all(provider) if isinstance(provider, Anonymous) else await self.ask(wanted, provider)
        issued = await asyncio.get_running_loop().run_in_executor(
            self.tokens.thread, self.issue, granted, app or wanted.app, wanted.provider
        )
        logger.info("%s", msgspec.json.encode({"loggedIn": granted.user, "provider": wanted.provider}).decode())
        return LoggedIn(
            user_id=granted.user,
            identity_b64=identity_of(granted, wanted),
            access_token=issued.text,
            access_expiry=datetime.fromtimestamp(issued.until, UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z"),
            audiences=["sync"],
            client_info=granted.client_info,
        )

    async def ask(self, wanted: Wanted, provider: Any) -> Granted:
        """Ask a webhook, if not too many are asked."""
        if self.asking >= limits.LOGINS_AT_ONCE_MAX:
            raise Overloaded(f"{self.asking} providers are being asked about logins; no more can be now.")
        self.asking += 1
        try:
            verdict = await ask(wanted.provider, provider, Asked(wanted.app, wanted.provider, wanted.token))
        finally:
            self.asking -= 1
        return granted_by(verdict, wanted.provider)

    def issue(self, granted: Granted, app: str, provider: str) -> Issued:
        """Sign a token, if what is granted can be enforced and fits into one."""
        try:
            permission_of(granted.form)
            return self.tokens.sign(granted.user, app, granted.form, granted.seconds)
        except CallerError as error:
            logger.warning("The provider %.80r of logins grants what no token can hold: %s", provider, error.message)
        raise ProviderFailed(FAILED)


def granted_to_all(provider: Anonymous) -> Granted:
    """What somebody is granted who says nothing of himself: a name of his own, so that he can be told apart."""
    name = f"anonymous-{secrets.token_hex(ANONYMOUS_BYTES)}"
    return Granted(name, provider.permissions, provider.expiration_seconds, {})


def granted_by(verdict: Verdict, provider: str) -> Granted:
    """What a webhook grants.

    Raises:
        Unauthenticated: Nothing; `data` has what it says to the caller of that.
        ProviderFailed: It lets somebody in and does not say all of whom, what and how long.
    """
    if not (verdict.authenticated or verdict.authenticate):
        told = {} if verdict.user_info is None else {"userInfo": verdict.user_info}
        raise Unauthenticated("The provider refused this login.", **told)
    user, form, seconds = verdict.user_id, verdict.permissions, verdict.expiration_seconds
    if user is None or form is None or seconds is None or not 0 < seconds < 2**32:
        logger.warning("The provider %.80r of logins left out userID, permissions or expirationSeconds.", provider)
        raise ProviderFailed(FAILED)
    return Granted(user, form, seconds, verdict.identity_service_metadata or {}, verdict.client_info)


def identity_of(granted: Granted, wanted: Wanted) -> str:
    """Who logged in, as JSON in Base64; it is no credential."""
    said = {"appID": wanted.app, "siteID": wanted.site, "userID": granted.user, "metadata": granted.metadata}
    return b64encode(msgspec.json.encode(said)).decode()


def refuse_provider() -> NoReturn:
    """Say that there is no such provider.

    Raises:
        MalformedRequest: It is so.
    """
    raise MalformedRequest("There is no provider of this name.")
