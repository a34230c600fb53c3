"""A store of the matrix, behind HTTP in this process, with a credential for each caller; and a store with less in it.

Rules: what all stores hold was written first, so that it is the same to the byte in each; clocks stand still.
"""

from __future__ import annotations

import asyncio
import math
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from crdtstore import Store, Upsert
from crdtstore.auth.accounts import AccountsHere, NewAccount
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART, draw_key
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, Rules, permission_of
from crdtstore.command.command import Command
from crdtstore.crdt.value import Value
from crdtstore.http.server import Application, application
from crdtstore.timeseries.append import append_events
from tests.auth.tokens import claims, signed, tokens_of
from tests.http.calling import ACTOR, Answered, exchange
from tests.matrix.oracle import EVERYTHING, MARK, MINE, OTHER_MARK, OWNER, RULE, SOME, THEIRS, Held

BYTES: Final = "application/octet-stream"
NOW: Final = 1_750_000_000_000
ORIGIN: Final = bytes(15) + b"\x09"
AUTHOR: Final = bytes(15) + b"\x07"
ENDS: Final = NOW + 1_000
SIGNERS: Final = TemporaryDirectory(prefix="crdtstore-matrix-")
"""Where the keys lie that sign tokens."""


@dataclass
class World:
    """One store and who may ask it."""

    store: Store
    app: Application
    keyring: KeyRing
    clock: list[int]
    files: dict[str, str]
    credentials: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def make(cls, filled: frozenset[str]) -> World:
        """Make a store with something in these collections."""
        clock = [NOW]
        store = Store.in_memory(clock=lambda: clock[0], origin=ORIGIN, entropy=bytes)
        keyring = KeyRing(store, clock=lambda: clock[0])
        keyring.uses.due = math.inf  # writing down when keys were used would be a change
        for collection in (MINE, THEIRS):
            store.change_images.set(collection, "both")
        files: dict[str, str] = {}
        if filled & {MINE, SOME}:
            files |= fill(store, MINE, "m")
        if MINE in filled:
            store.write([Upsert(MINE, of_another(number)) for number in range(1, 3)], actor=AUTHOR)
        if THEIRS in filled:
            files |= fill(store, THEIRS, MARK)
        for collection in store.collections():
            # The first cursor of a store makes what cursors are signed with.
            store.find(collection, "true", limit=1)
        tokens = tokens_of(Path(SIGNERS.name), lambda: clock[0] / 1_000)
        return cls(store, application(store, keyring, wait_seconds=0, tokens=tokens), keyring, clock, files)

    def let_in(self, held: Held) -> None:
        """Make the credential of a caller, who may ask from then on; what ends has ended by then."""
        if held.name not in self.credentials:
            self.clock[0] = NOW
            self.credentials[held.name] = credential_of(self.keyring, held)
            self.clock[0] = ENDS + 1

    def close(self) -> None:
        """Let go of it."""
        self.app.stop()
        self.store.close()

    def ask(self, loop: asyncio.AbstractEventLoop, held: Held, request: tuple[str, str, bytes, str]) -> Answered:
        """Send a request as one of the callers; its method, target, body and type."""
        method, target, body, content_type = request
        self.let_in(held)
        credential = self.credentials[held.name]
        headers = {"content-type": content_type, "x-ditto-client-id": ACTOR}
        if content_type == BYTES:
            headers["content-range"] = f"bytes 0-{len(body) - 1}/{len(body)}"
        if credential is not None:
            headers["authorization"] = credential
        sent = exchange(method, target, body or None, headers)

        async def run() -> Answered:
            await self.app(sent.scope, sent.receive, sent.send)
            return sent.answered

        return loop.run_until_complete(run())

    @property
    def state(self) -> tuple[Any, ...]:
        """What a request that is refused must leave as it was."""
        return self.store.applied, self.store.turn


def credential_of(keyring: KeyRing, held: Held) -> str | None:
    """What a caller sends to be known."""
    form = PermissionForm(rules_of(held.read), rules_of(held.write), held.remote)
    match held.name.partition(",")[0]:
        case "none":
            return None
        case "token":
            return f"Bearer {token_of(held, form)}"
        case "account":
            name = held.name.replace(" ", "-").replace(",", "")
            AccountsHere(keyring).add(NewAccount(name, form, "a password of some length"))
            password = "another one, as long" if "wrong" in held.name else "a password of some length"
            return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"
    return f"Bearer {key_of(keyring, held, permission_of(form))}"


def token_of(held: Held, form: PermissionForm) -> str:
    """Sign a token with what a caller may do."""
    ends = NOW // 1_000 + (0 if "ended" in held.name else 600)
    said = claims(exp=ends, iat=NOW // 1_000 - 60, perm=msgspec.to_builtins(form))
    if "forged" in held.name:
        head, body, _ = signed("HS256", {**said, "perm": {}}).split(".")
        return ".".join([head, body, signed("HS256", said).rpartition(".")[2]])
    return signed("HS256", said)


def key_of(keyring: KeyRing, held: Held, permission: Permission) -> str:
    """Make the key of a caller, or what he has in place of one."""
    match held.name:
        case "malformed":
            return "letmein"
        case "wrong":
            prefix = keyring.create(held.name, Permission.full()).partition(FIXED_PART)[0]
            return prefix + FIXED_PART + draw_key().partition(FIXED_PART)[2]
        case "expired":
            return keyring.create(held.name, Permission.full(), expires_ms=ENDS)
        case "revoked":
            key = keyring.create(held.name, Permission.full())
            keyring.revoke(key.partition(FIXED_PART)[0])
            return key
    return keyring.create(held.name, permission)


def rules_of(collections: frozenset[str]) -> Rules:
    """The rules of a verb as programs write them."""
    if collections == EVERYTHING:
        return Rules(True)
    if MINE in collections:
        collections -= {SOME}
    return Rules(False, {MINE if name == SOME else name: [RULE if name == SOME else "true"] for name in collections})


def of_another(number: int) -> dict[str, Value]:
    """A document that the rule does not allow."""
    return {"_id": f"{OTHER_MARK}{number}", "n": number, "text": f"{OTHER_MARK} text", "owner": "you"}


def fill(store: Store, collection: str, prefix: str) -> dict[str, str]:
    """Put documents, a file and events into a collection; gives the ids of files by collection."""
    documents: list[dict[str, Value]] = [
        {"_id": f"{prefix}{number}", "n": number, "text": f"{prefix} text", "owner": OWNER} for number in range(1, 5)
    ]
    commands: list[Command] = [Upsert(collection, document) for document in documents]
    store.write(commands, actor=AUTHOR)
    store.write([Upsert(collection, {"_id": f"{prefix}1", "n": 7})], actor=AUTHOR)
    file = store.attachments.put([f"{prefix} file".encode()])
    referring: dict[str, Value] = {"_id": f"{prefix}5", "f": {"id": file.id, "len": file.len}, "owner": OWNER}
    store.write([Upsert(collection, referring, value_types={"f": "attachment"})], actor=AUTHOR)
    append_events(store, collection, [{"_time": f"2025-01-01T00:00:0{n}Z", "text": prefix, "n": n} for n in range(3)])
    return {collection: file.id}
