"""What a writer of attachments under faults does, and how it is looked at afterwards.

Rules: a name says what a file holds. Files that are kept are referred to by a document before they are put, and noted
once `put` returned; others are put and never referred to, some with the same bytes as kept ones. A collection without
a grace period goes on all the while. What was noted must be there, with its bytes; nothing must be there in part.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from threading import Thread

from crdtstore import Store, Upsert
from crdtstore.errors import CrdtStoreError
from crdtstore.storage.attachment_files import FOLDER_NAME, INCOMING_NAME
from crdtstore.storage.attachments import format_id, make_id
from crdtstore.storage.verify import verify_storage
from tests.faults.work import Acknowledged, Name, encode

KEEPERS = 2
DROPPER, COLLECTOR = KEEPERS, KEEPERS + 1


def content(name: Name) -> bytes:
    """What the file of a name holds; some names hold the same."""
    random = Random(f"{name.round}.{name.number // 3}")
    return random.randbytes(random.choice((0, 10, 5_000, 100_000, 600_000)))


def id_of(data: bytes) -> str:
    """The id of a file."""
    return format_id(make_id(hashlib.sha256(data).digest()))


def pieces(data: bytes) -> Iterator[bytes]:
    """A file as it comes."""
    yield from (data[at : at + 70_000] for at in range(0, len(data), 70_000))


def write_until_killed(path: Path, pipe: int, number: int) -> None:
    """What a writer does; it ends when it is killed, or when nobody reads its answers."""
    store = Store.open(path)
    works = [*((keep, thread) for thread in range(KEEPERS)), (drop, DROPPER), (collect, COLLECTOR)]
    threads = [Thread(target=work, args=(store, pipe, number, thread), daemon=True) for work, thread in works]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def keep(store: Store, pipe: int, number: int, thread: int) -> None:
    """Refer to files, put them, and note them."""
    for each in count():
        name = Name(number, thread, each)
        data = content(name)
        token = {"id": id_of(data), "len": len(data)}
        store.write([Upsert("files", {"file": token}, id=name.id, value_types={"file": "attachment"})])
        put = store.attachments.put(pieces(data))
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, encode(Acknowledged(name, put.len)))
            continue
        os._exit(1)


def drop(store: Store, _pipe: int, number: int, thread: int) -> None:
    """Put files to which nobody refers, but for those that others keep."""
    for each in count():
        store.attachments.put(pieces(content(Name(number + each % 2, thread, each))))


def collect(store: Store, _pipe: int, _number: int, _thread: int) -> None:
    """Collect without end."""
    while True:
        store.attachments.collect(0)


def look(path: Path, number: int, acknowledged: list[Acknowledged], _twin: Store) -> list[str]:
    """Open the store after a fault and say what is wrong; then collect, and look again."""
    with Store.open(path) as store:
        found = missing(store, acknowledged) + damages(store)
        left = list((path / FOLDER_NAME / INCOMING_NAME).glob("*.part"))
        found += [f"{len(left)} files are left on their way"] if left else []
        if found:
            return found
        store.attachments.collect(0)
        found += missing(store, acknowledged) + damages(store)
        again = Name(number, KEEPERS, 0)
        store.attachments.put([content(again)])
        found += missing(store, [Acknowledged(again, 0)])
    return found


def missing(store: Store, acknowledged: list[Acknowledged]) -> list[str]:
    """What was answered and is not there, or holds other bytes."""
    found = []
    for name, _ in acknowledged:
        data = content(name)
        try:
            with store.attachments.open(id_of(data)) as file:
                if file.read() != data:
                    found.append(f"file {name.id} was acknowledged, and holds other bytes")
        except CrdtStoreError as error:
            found.append(f"file {name.id} was acknowledged, and {error!r}")
    return found


def damages(store: Store) -> list[str]:
    """Rows without a whole file."""
    return [finding.message for finding in verify_storage(store.storage) if finding.table == "attachments"]
