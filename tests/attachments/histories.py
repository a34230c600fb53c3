"""Random histories of attachments: puts of equal contents, references, removals, collections and crashes in any order.

What must hold, after every step: a file that was acknowledged is there with its bytes in the grace period of its last
put, and for as long as a document refers to it that was written while the file was there. Whatever is opened is whole,
or not there at all.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

from crdtstore.attachments.attachments import Put
from crdtstore.command.command import Remove, Upsert
from crdtstore.errors import CrdtStoreError, UnknownAttachment
from crdtstore.storage.memory import MemoryStorage
from crdtstore.store import Store
from tests.attachments.scheduled import Operation, begin, pausing, pausing_files

GRACE_SECONDS = 10
CONTENTS = (b"one", b"two")
DOCUMENTS = 3
STEPS = 60


class Content:
    """One file as the history knows it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.id = ""
        self.put_at = 0
        self.safe = False
        self.documents: set[int] = set()


class History:
    """One history, and what it must hold."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 1_000_000
        self.storage = MemoryStorage()
        self.contents = [Content(data) for data in CONTENTS]
        self.running: list[Operation] = []
        self.began: dict[Operation, tuple[Content, int]] = {}
        self.found: list[str] = []
        self.store = self.open()

    def open(self) -> Store:
        """Open the store, again."""
        store = Store.in_memory(clock=lambda: self.now, storage=self.storage, entropy=self.random.randbytes)
        store.attachments.settle()
        vars(store)["run"] = pausing(store.run)
        return store

    def run(self) -> list[str]:
        """Play it; returns what is wrong, nothing if all is well."""
        with pausing_files():
            for _ in range(STEPS):
                self.act()
                self.look()
                if self.found:
                    break
            for operation in self.running:
                operation.crash()
        return self.found

    def act(self) -> None:
        """Do the next thing."""
        drawn = self.random.random()
        if drawn < 0.5 and self.running:
            self.step(self.random.choice(self.running))
        elif drawn < 0.65:
            self.begin_put(self.random.choice(self.contents))
        elif drawn < 0.75:
            self.begin_collection()
        elif drawn < 0.83:
            self.refer(self.random.choice(self.contents), self.random.randrange(DOCUMENTS))
        elif drawn < 0.9:
            self.remove(self.random.randrange(DOCUMENTS))
        elif drawn < 0.97:
            self.now += self.random.choice((1, 4, 11)) * 1_000
        else:
            self.crash()

    def begin_put(self, content: Content) -> None:
        """Begin to put a file."""
        operation = begin("put", lambda: self.store.attachments.put([content.data]))
        self.began[operation] = content, self.now
        self.running.append(operation)

    def begin_collection(self) -> None:
        """Begin a collection, unless there is one."""
        if all(operation.name != "collect" for operation in self.running):
            self.running.append(begin("collect", lambda: self.store.attachments.collect(GRACE_SECONDS)))

    def step(self, operation: Operation) -> None:
        """Let an operation go on."""
        operation.step()
        if operation.done:
            self.running.remove(operation)
            if isinstance(operation.result, Exception):
                self.found.append(f"{operation.name} failed: {operation.result!r}")
            elif operation.name == "put":
                self.acknowledge(operation)

    def acknowledge(self, operation: Operation) -> None:
        """Note that a file is there from now on."""
        content, put_at = self.began.pop(operation)
        answer: Put = operation.result
        content.id, content.safe = answer.id, True
        content.put_at = max(content.put_at, put_at)

    def refer(self, content: Content, document: int) -> None:
        """Write a document that refers to a file which was acknowledged once."""
        if content.id:
            self.remove(document)
            token: Any = {"id": content.id, "len": len(content.data)}
            self.store.write([Upsert("c", {"f": token}, id=document, value_types={"f": "attachment"})])
            content.documents.add(document)
            content.safe = content.safe or self.read(content.id) is not None

    def remove(self, document: int) -> None:
        """Remove a document."""
        self.store.write([Remove("c", "_id == $args.id", {"id": document})])
        for content in self.contents:
            content.documents.discard(document)

    def crash(self) -> None:
        """End the process, and begin a new one."""
        for operation in self.running:
            operation.crash()
        self.running.clear()
        self.began.clear()
        self.store = self.open()

    def look(self) -> None:
        """Ask what must hold."""
        for content in self.contents:
            if not content.documents and self.now - content.put_at >= GRACE_SECONDS * 1_000:
                content.safe = False
            if not content.id:
                continue
            try:
                data: bytes | None = self.read(content.id)
            except CrdtStoreError as error:
                self.found.append(f"{content.data!r} cannot be read: {error!r}")
                continue
            if data is None and content.safe:
                self.found.append(f"{content.data!r} is gone")
            elif data is not None and data != content.data:
                self.found.append(f"{content.data!r} is {data!r}")

    def read(self, id_: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""
        with suppress(UnknownAttachment), self.store.attachments.open(id_) as file:
            return file.read()
        return None


def play(seed: int) -> list[str]:
    """Play one history; returns what is wrong."""
    return History(seed).run()
