"""Damages copies of a store at random places, in a process of its own, and verifies them.

    python -m tests.storage.damaged_stores DIRECTORY FIRST LAST WITHOUT

Rules: the truth is every row of every table, by scan and by key. Where that is not what it was, verification has to
find something; where nothing is found, everything must read as before. WITHOUT names checks that are taken away, for
the controls. Answers with one JSON object: how many copies were damaged, found, and missed.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import TypeAlias

from crdtstore import Remove, Store, Upsert, _core, core
from crdtstore.errors import CrdtStoreError, StoreError
from crdtstore.storage import verify as verification
from crdtstore.storage import verify_rows
from crdtstore.storage.environment import open_storage
from crdtstore.storage.tables import Table
from tests.storage.children import damaged
from tests.storage.engines import LOADED

PAGE_BYTES = 4_096

Content: TypeAlias = "list[dict[bytes, bytes]]"


def main(directory: Path, first: int, last: int, without: list[str]) -> None:
    """Damage, verify, compare."""
    assert LOADED
    core.lmdb_environment = _core.Environment  # the plain engine would end this process on damaged pages
    older = directory.joinpath("data.mdb").read_bytes()
    write_more(directory)
    newer = directory.joinpath("data.mdb").read_bytes()
    before = read(directory)
    take_away(without)
    counts = {"damaged": 0, "found": 0, "missed": 0}
    codes: dict[str, int] = {}
    for seed in range(first, last):
        copy = directory.with_name(f"damaged-{seed}")
        copy.mkdir()
        kind = KINDS[seed % len(KINDS)]
        copy.joinpath("data.mdb").write_bytes(kind(newer, older, random.Random(seed)))
        found = codes_of(copy)
        same = alike(before, read_or_none(copy), UNPROVABLE if kind is lose_write else frozenset())
        counts["damaged"] += not same
        counts["found"] += bool(found)
        counts["missed"] += not same and not found
        for code in set(found):
            codes[code] = codes.get(code, 0) + 1
        shutil.rmtree(copy)
    sys.stdout.write(json.dumps({**counts, "codes": codes}))


def write_more(directory: Path) -> None:
    """Some commits that replace pages: what a disk may lose."""
    with Store.open(directory, durability="none") as store:
        for number in range(5, 30, 5):
            store.write([Upsert("cities", {"name": "changed", "more": number}, id=f"city {number}")])
        store.write([Remove("cities", "_id == 'city 7'")])


# --- kinds of damage ---


def spoil_page(newer: bytes, _older: bytes, chance: random.Random) -> bytes:
    """Clear, exchange or fill a page, or flip a bit where a page says where its rows are."""
    return damaged(newer, chance)


def flip_bit(newer: bytes, _older: bytes, chance: random.Random) -> bytes:
    """Flip one bit anywhere."""
    altered = bytearray(newer)
    altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
    return bytes(altered)


def lose_write(newer: bytes, older: bytes, chance: random.Random) -> bytes:
    """Put a page back that a later commit had replaced: all seals in it hold."""
    pages = range(2 * PAGE_BYTES, min(len(newer), len(older)), PAGE_BYTES)
    lost = chance.choice([at for at in pages if newer[at : at + PAGE_BYTES] != older[at : at + PAGE_BYTES]])
    return newer[:lost] + older[lost : lost + PAGE_BYTES] + newer[lost + PAGE_BYTES :]


KINDS = (spoil_page, flip_bit, lose_write)

UNPROVABLE = frozenset((Table.META, Table.KEYS, Table.PEERS))
"""Tables of which nothing else in the store says what they must hold: an older page of them proves nothing."""


def alike(before: Content, after: Content | None, left_out: frozenset[Table]) -> bool:
    """Whether everything reads as it did."""
    return (
        after is not None
        and len(after) == len(before)
        and all(table in left_out or before[table] == after[table] for table in Table)
    )


def codes_of(directory: Path) -> list[str]:
    """What verification finds; a store that is refused as none is found too."""
    try:
        return [finding.code for finding in verification.verify(directory)]
    except StoreError:
        return ["refused"]


def take_away(names: list[str]) -> None:
    """Take checks away."""
    verification.CHECKS = tuple(check for check in verification.CHECKS if check.__name__ not in names)  # type: ignore[misc]
    if "check_structure" in names:
        verification.check_structure = lambda *_: iter(())
    if "check_count" in names:
        verify_rows.check_count = lambda *_: None


def read_or_none(directory: Path) -> Content | None:
    """As `read`; None where something is refused."""
    try:
        return read(directory)
    except CrdtStoreError:
        return None


def read(directory: Path) -> Content:
    """Every row of every table, by scan; each must be found by its key too."""
    with open_storage(directory, create=False, read_only=True) as storage, storage.snapshot() as snapshot:
        content = [dict(snapshot.scan(table)) for table in Table]
        hidden = [key for table in Table for key in content[table] if snapshot.get(table, key) != content[table][key]]
        return [] if hidden else content


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
