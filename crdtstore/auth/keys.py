"""The keys of a store as they are managed, by command line and HTTP alike: made, listed, explained, rotated, revoked.

Rules: what goes in and out is the same wherever it is asked for, so a type here is what stands in JSON. A key in plain
text comes out of `create` and `rotate`, and nowhere else. Times are RFC 3339, in UTC.

Not here: who may manage keys (`http/call.py`), what is kept of them (`stored_key`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from crdtstore import limits
from crdtstore.auth.api_key import HERE, KeyRing
from crdtstore.auth.explained import AskedDocument, ExplainedDocument, explain_document
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, form_of, permission_of
from crdtstore.auth.stored_key import Change, StoredKey, refuse_unknown, time_of


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A key that is to be made."""

    name: str
    permissions: PermissionForm
    description: str | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How a key is rotated."""

    old_valid_seconds: Annotated[float, Meta(ge=0, le=limits.OLD_KEY_SECONDS_MAX)] = limits.OLD_KEY_SECONDS_DEFAULT
    """How long the key is taken that was known until now."""


class KeyView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is told of a key."""

    prefix: str
    name: str
    description: str
    permissions: PermissionForm
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    """At most a minute too old."""

    old_valid_until: str | None
    """Until when the key is taken that was replaced by this one."""


class MadeKey(KeyView, frozen=True, kw_only=True, rename="camel"):
    """A key that was just made, in plain text; it is told once."""

    key: str


class Revoked(msgspec.Struct, frozen=True):
    """Which key is no more."""

    prefix: str


class KeyList(msgspec.Struct, frozen=True):
    """All keys of a store."""

    keys: tuple[KeyView, ...]


class Changes(msgspec.Struct, frozen=True):
    """What became of keys, the oldest first."""

    changes: tuple[Change, ...]


class Keys(Protocol):
    """The keys of a store, here or behind a server."""

    def create(self, asked: NewKey) -> MadeKey:
        """Make a key."""

    def list(self) -> tuple[KeyView, ...]:
        """All keys."""

    def explain(self, prefix: str) -> KeyView:
        """One key."""

    def explain_document(self, prefix: str, asked: AskedDocument) -> ExplainedDocument:
        """What one key may do with a document."""

    def rotate(self, prefix: str, asked: Rotation) -> MadeKey:
        """Give a key another suffix."""

    def revoke(self, prefix: str) -> None:
        """Forget a key."""

    def changes(self) -> tuple[Change, ...]:
        """What became of keys."""


class KeysHere:
    """The keys of a store of this process, in the hands of one who may do everything."""

    def __init__(self, keyring: KeyRing, by: str = HERE) -> None:
        """Manage the keys of a ring, by the hand of the bearer of the key with the prefix `by`."""
        self.keyring = keyring
        self.by = by

    def create(self, asked: NewKey) -> MadeKey:
        """Make a key.

        Raises:
            UnsupportedPermission: Its permission could not be enforced.
            CallerError: What else is wrong with it.
        """
        expires_ms = None if asked.expires_at is None else int(asked.expires_at.timestamp() * 1_000)
        permission = permission_of(asked.permissions)
        description = asked.description or ""
        key = self.keyring.create(asked.name, permission, description=description, expires_ms=expires_ms, by=self.by)
        return self.made(key)

    def list(self) -> tuple[KeyView, ...]:
        """All keys, in the order of their prefixes."""
        uses = self.keyring.uses.read()
        return tuple(self.view(prefix, stored, uses.get(prefix)) for prefix, stored in self.keyring.known())

    def explain(self, prefix: str) -> KeyView:
        """One key.

        Raises:
            NotFound: There is none with this prefix.
        """
        stored = self.keyring.read(prefix) or refuse_unknown(prefix)
        return self.view(prefix, stored, self.keyring.uses.read().get(prefix))

    def explain_document(self, prefix: str, asked: AskedDocument) -> ExplainedDocument:
        """What one key may do with a document, and which rule decides it.

        Raises:
            NotFound: There is no key with this prefix.
            InvalidId: The id is none.
            Forbidden: A series lies in the collection: nobody is told which of its events were there.
        """
        Permission.full().check_no_series("read", asked.collection)
        stored = self.keyring.read(prefix) or refuse_unknown(prefix)
        return explain_document(self.keyring.store, prefix, stored.permission, asked)

    def rotate(self, prefix: str, asked: Rotation) -> MadeKey:
        """Give a key another suffix.

        Raises:
            NotFound: There is none with this prefix.
        """
        return self.made(self.keyring.rotate(prefix, old_valid_seconds=asked.old_valid_seconds, by=self.by))

    def revoke(self, prefix: str) -> None:
        """Forget a key, so that nobody is let in with it any more.

        Raises:
            NotFound: There is none with this prefix.
        """
        if not self.keyring.revoke(prefix, by=self.by):
            refuse_unknown(prefix)

    def changes(self) -> tuple[Change, ...]:
        """What became of keys, the oldest first."""
        return tuple(self.keyring.changes())

    def made(self, key: str) -> MadeKey:
        """Tell a key that was just made."""
        view = self.explain(key.partition(FIXED_PART)[0])
        return MadeKey(key=key, **{name: getattr(view, name) for name in view.__struct_fields__})

    def view(self, prefix: str, stored: StoredKey, used_ms: int | None) -> KeyView:
        """What is told of a key."""
        is_rotated = stored.old_hash is not None and stored.old_until_ms > self.keyring.clock()
        return KeyView(
            prefix=prefix,
            name=stored.name,
            description=stored.description,
            permissions=form_of(stored.permission),
            created_at=time_of(stored.created_ms),
            expires_at=None if stored.expires_ms is None else time_of(stored.expires_ms),
            last_used_at=None if used_ms is None else time_of(used_ms),
            old_valid_until=time_of(stored.old_until_ms) if is_rotated else None,
        )
