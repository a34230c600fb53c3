"""The apps of a server: which one a request is for, and their stores, opened when they are first asked for.

Rules:

- An app has a store, keys and pins of its own: nothing of one means anything in another.
- The first segment of the path names it, else the first label of the host, below a name that the server answers to.
  A server of one store serves that to whoever names none; one of several refuses him.
- Who is not known learns nothing of which apps there are: an app that is not there, one that cannot be opened, and a
  key that is wrong are refused alike. A login is for those who are not known, and has to say whether it is for an app.
- An app is made by a request that carries the root key, and by no other.

Not here: which hosts a server answers to (`request`), what the command line makes of it (`cli/serve_apps.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore
from types import TracebackType
from typing import Final, Self, TypeAlias

import msgspec

from crdtstore import limits
from crdtstore.auth.api_key import KeyRing, split
from crdtstore.auth.credential import Credential
from crdtstore.auth.key_form import refuse
from crdtstore.errors import CallerError, LimitExceeded
from crdtstore.http.request import Request, app_label, host_name
from crdtstore.http.routes import ROUTES
from crdtstore.replication.pins import Pins
from crdtstore.store import Store

logger = logging.getLogger(__name__)

ID_FORM: Final = re.compile(r"[a-z0-9-]{1,64}")

ROOTS: Final = frozenset(route.path[1:].partition("/")[0] for route in ROUTES)
"""First segments of paths that are the server's own: no app is named so. The root's is the empty one."""

Opener: TypeAlias = "Callable[[Path], AbstractContextManager[tuple[Store, KeyRing]]]"
"""Opens the store of an app in its directory, which may not be there yet; closes it at the end of the block."""


@dataclass(frozen=True, slots=True)
class App:
    """One app that is open: its store, its keys, what other stores join from, and how much more may be on its way."""

    store: Store
    keyring: KeyRing
    name: str | None = None
    """Its id, if it has one."""

    pins: Pins = field(default_factory=Pins)
    backups: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(limits.BACKUPS_AT_ONCE_MAX))
    transfers: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(limits.TRANSFERS_MAX))


class Apps:
    """The apps of a server.

    Who made it closes it after the server has stopped; that closes the stores that it opened, and no others.
    """

    def __init__(
        self,
        directories: Mapping[str, Path],
        opener: Opener | None = None,
        *,
        only: App | None = None,
        name: str | None = None,
        root_key: str | None = None,
        made_in: Path | None = None,
    ) -> None:
        """Know apps; none is opened yet.

        Args:
            directories: The directories of apps, by their ids.
            opener: What opens these.
            only: The one app of a server that has one, open already.
            name: Its id, if it has one.
            root_key: The key that may do everything in every app.
            made_in: Below which directory its bearer makes apps by naming them; None for nowhere.

        Raises:
            CallerError: What should name an app cannot.
            LimitExceeded: There are too many.
        """
        for each in (*directories, *([name] if name else [])):
            check_id(each)
        check_count(len(directories))
        if len(set(directories.values())) < len(directories):
            raise CallerError("Two apps are in one directory; each has its own.")
        self.directories = dict(directories)
        self.opener = opener
        self.only = only
        self.root = None if root_key is None else digest(root_key)
        self.made_in = made_in
        self.opened: dict[str, App] = {name: only} if only is not None and name else {}
        self.named = only is None or name is not None
        """Whether a request can name an app at all."""

        self.opening: dict[str, Future[App]] = {}
        # One thread: what was opened while a second request waited for its turn is found open.
        self.thread = ThreadPoolExecutor(1, "crdtstore-apps")
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the stores that were opened here."""
        self.thread.shutdown(wait=True)
        self.stack.close()

    def let_go(self) -> None:
        """Let go of what other stores join from, in every app, and write down when keys were last used."""
        for app in {id(app): app for app in (self.only, *self.opened.values()) if app is not None}.values():
            app.pins.close()
            app.keyring.uses.write()

    async def pick(
        self, request: Request, credential: Credential | None, domains: Collection[str]
    ) -> tuple[App, Request]:
        """Find the app that a request is for, and the request as it is within the app.

        Args:
            request: The request.
            credential: What it carries, which nobody has looked at yet; None where it needs none.
            domains: The names below which a label of the host names an app.

        Raises:
            Unauthenticated: There is no such app, or it cannot be opened.
            LimitExceeded: The bearer of the root key would make one too many.
            CrdtStoreError: The app cannot be opened, and the key is the root key.
        """
        name, path = named_in(request.path)
        if name is None or (self.only is not None and name not in self.opened):
            name, path = app_label(host_name(request.headers[b"host"]), domains), request.path
        if name is None:
            return self.only or refuse(), request
        app = self.opened.get(name) or await self.open(name, credential)
        return app, request if path is request.path else msgspec.structs.replace(request, path=path)

    async def open(self, name: str, credential: Credential | None) -> App:
        """Open an app that is not open, off the event loop; make it if the key is the one that may."""
        if credential is not None and credential.kind != "token":
            split(credential.text)
        is_root = self.is_root(credential)
        is_new = name not in self.directories
        if is_new:
            if self.made_in is None or not is_root or not is_id(name):
                refuse()
            check_count(len(self.directories) + 1)
            self.directories[name] = self.made_in / name
        try:
            return await self.opening_of(name)
        except Exception:
            if is_new:
                del self.directories[name]
            if is_root:
                raise
            refuse()

    def is_root(self, credential: Credential | None) -> bool:
        """Whether it is the root key."""
        if self.root is None or credential is None:
            return False
        return hmac.compare_digest(self.root, digest(credential.text))

    async def opening_of(self, name: str) -> App:
        """Wait until an app is open, whoever asked first."""
        if name not in self.opening:
            self.opening[name] = self.thread.submit(self.open_here, name, self.directories[name])
        try:
            # A caller who goes away takes nothing from the others who wait.
            return await asyncio.shield(asyncio.wrap_future(self.opening[name]))
        finally:
            self.opening.pop(name, None)

    def open_here(self, name: str, directory: Path) -> App:
        """Open an app in this thread, unless that was done meanwhile."""
        try:
            if name not in self.opened:
                assert self.opener is not None
                self.opened[name] = App(*self.stack.enter_context(self.opener(directory)), name)
            return self.opened[name]
        except Exception as error:
            # In one line: it takes no known key to come here, as often as one likes.
            logger.error("The app %s cannot be opened: %r", name, error)  # noqa: TRY400  without the traceback
            raise


def of_one(store: Store, keyring: KeyRing, name: str | None = None) -> Apps:
    """The apps of a server of one store, which has an id or none.

    Raises:
        CallerError: That is no id.
    """
    return Apps({}, only=App(store, keyring, name), name=name)


def named_in(path: str) -> tuple[str | None, str]:
    """The app that a path names by its first segment, if it names one, and the path within it."""
    first, _, rest = path[1:].partition("/")
    return (None, path) if first in ROOTS else (first, f"/{rest}")


def is_id(name: str) -> bool:
    """Say whether an app may be called so."""
    return ID_FORM.fullmatch(name) is not None and name not in ROOTS


def check_id(name: str) -> None:
    """Refuse what is no app id.

    Raises:
        CallerError: It is none.
    """
    if not is_id(name):
        own = ", ".join(sorted(ROOTS - {""}))
        raise CallerError(f"An app id is 1 to 64 of a-z, 0-9 and -, and none of {own}; got {name!r:.80}.", app=name)


def check_count(count: int) -> None:
    """Refuse more apps than a server may have.

    Raises:
        LimitExceeded: There would be more.
    """
    if count > limits.APPS_MAX:
        message = f"A server has at most {limits.APPS_MAX} apps; this would be number {count}."
        raise LimitExceeded(message, limit="APPS_MAX", value=count, maximum=limits.APPS_MAX)


def digest(key: str) -> bytes:
    """What is kept of the root key, to know it again: it is long and random, so that a quick hash does."""
    return hashlib.blake2b(key.encode()).digest()
