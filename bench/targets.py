"""The targets: one entry for every row that a bench prints, with its bound in words and as a number.

Rules: a bound stands here and nowhere else. A speed is judged by a ratio of one run, the peer's value over ours,
so it is the same on a slow machine and on a fast one; a count is judged by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Target(NamedTuple):
    """What a row measures, and its bound: at least this ratio, or at most this value of ours, or none.

    `unit` is that of a comparison of speed; a count has its own.
    """

    what: str
    bound: str
    ratio_min: float | None = None
    value_max: float | None = None
    unit: str = "CPU us/op"

    def holds(self, ours: float, ratio: float | None) -> bool | None:
        """Whether the bound is kept; None where there is none."""
        if self.ratio_min is not None:
            return ratio is not None and ratio >= self.ratio_min
        return None if self.value_max is None else ours <= self.value_max


KERNEL = "merge one field into each of {documents:,} documents in memory"
KERNEL_LMDB = "the same in the pages of LMDB, sealed, without a log"
ENGINE = "the same by Store.apply, one record: documents, seals, digests, log, chain, commit"
RECORDS = "the same by Store.apply, a record for each document"
MEMORY = "{actors} actors x {operations:,} operations, a message each: check and merge in memory"
LMDB = "the same by Store.apply into LMDB, {batch:,} messages a commit"
STORED = "bytes of a document, key and value with all metadata, after {actors} actors x {edits} updates"
FRESH = "the same before the updates"
SIBLINGS = "the same where no actor saw what another wrote, so that all last values live"
FILE = "bytes of the compacted file by document, the log trimmed"
LOG = "bytes of the log by update, {batch} in a transaction"
HEAP = "heap bytes by document that was read, {small:,} documents against {large:,}"
INSERT = "insert documents, {batch} a transaction, without indexes"
INSERT_CPU = "the same without flushing on either side"
BATCH = "read by id as JSON, {documents:,} documents, {batch:,} ids a call"
CALL = "the same, an id a call"
STATED = "INSERT of documents, {batch:,} a statement, against the same upserts in one write"
INSERT_SYNC = "insert documents, {batch} a transaction, without indexes, and no write-ahead log"
INDEXED_SYNC = "insert documents, {batch} a transaction, two indexes kept, and no write-ahead log"
INDEXED = "insert documents, {batch} a transaction, two indexes kept"
ONE = "find 1 of {documents:,} by an index, as JSON, prepared"
RANGE = "find {hits} of {documents:,} by a range of an index, as JSON, prepared"
SELECTED = "SELECT {hits} of {documents:,} by an index, against the same find"
SCAN = "find {hits} of {documents:,} by two conditions without an index, as JSON"
LISTED = "one of {documents:,} documents on its way to a socket, as JSON"
GROWN = "the same in a store of {documents:,} documents, ten times as many"
PAGES = "pages touched, ten times as many documents against as many"
WRITTEN = "a durable write of one document over HTTP, {connections} connections"
SERVED = "CPU of the server for a durable write of one document over HTTP, {connections} connections"
WRITTEN_SYNC = f"{WRITTEN}, and no write-ahead log"
SERVED_SYNC = f"{SERVED}, and no write-ahead log"
ASKED = "CPU of the server for a read by id over HTTP"
KEYED = "a read by id over HTTP with its key and permission checked, CPU time of the server"
ANSWERED = "CPU of the server for a write of one document over HTTP, without storage"
WOKEN = "from a commit to the read that waited for it, half of them sooner"
SYNC = "body bytes to sync two stores of {documents:,} documents, {changes} changed on each side"
REQUESTS = "requests: {requests}"
EQUAL = "body bytes to find two such stores equal"
JOIN = "body bytes to sync the two by a join of a snapshot, the log trimmed"
SYNC_CPU = "CPU time to sync the two, of both sides together"
JOIN_CPU = "CPU time to sync the two by a join"
RECOVERED = "open a store of {gibibytes:.1f} GiB whose process was killed while it wrote"
UNBOUND = "none"
PAIRS = ("pycrdt.one", "pycrdt.each", "loro.one", "loro.each")

TARGETS: Mapping[str, Target] = {
    "S1.kernel.pycrdt": Target(KERNEL, "at least 40 times as fast", ratio_min=40),
    "S1.kernel.loro": Target(KERNEL, "at least 200 times as fast", ratio_min=200),
    "S1.kernel-lmdb.pycrdt": Target(KERNEL_LMDB, "at least 40 times as fast", ratio_min=40),
    "S1.kernel-lmdb.loro": Target(KERNEL_LMDB, "at least 200 times as fast", ratio_min=200),
    "S1.engine.pycrdt": Target(ENGINE, "at least 20 times as fast", ratio_min=20),
    "S1.engine.loro": Target(ENGINE, "at least 100 times as fast", ratio_min=100),
    "S1.records.pycrdt": Target(RECORDS, "at least 20 times as fast", ratio_min=20),
    "S1.records.loro": Target(RECORDS, "at least 100 times as fast", ratio_min=100),
    "S1.instructions": Target("instructions to merge one field", "at most 600", value_max=600),
    "S2.memory": Target(MEMORY, "at most 1/4 of the best peer", ratio_min=4),
    "S2.lmdb": Target(LMDB, "at most 1/2 of the best peer in memory", ratio_min=2),
    "S3.document": Target(STORED, "at most 450", value_max=450),
    "S3.fresh": Target(FRESH, UNBOUND),
    "S3.file": Target(FILE, "at most 600", value_max=600),
    "S3.siblings": Target(SIBLINGS, UNBOUND),
    "S3.log": Target(LOG, UNBOUND),
    "S4.heap": Target(HEAP, "none, so less than one", value_max=1),
    "S5.batch.select": Target(BATCH, "at least 8 times as fast", ratio_min=8),
    "S5.batch.json": Target(BATCH, "at least 8 times as fast", ratio_min=8),
    "S5.call.select": Target(CALL, "at least 4 times as fast", ratio_min=4),
    "S5.call.json": Target(CALL, "at least 4 times as fast", ratio_min=4),
    "S6.one": Target(ONE, "at least 5 times as fast", ratio_min=5),
    "S6.range": Target(RANGE, "at least 2 times as fast", ratio_min=2),
    "S6.select.one": Target(SELECTED, "at most 1.3 times the time", ratio_min=1 / 1.3),
    "S6.select.range": Target(SELECTED, "at most 1.3 times the time", ratio_min=1 / 1.3),
    "S7.sqlite": Target(SCAN, "at least 5 times as fast", ratio_min=5),
    "S7.postgres": Target(SCAN, "faster", ratio_min=1, unit="wall us/op"),
    "S7.lines": Target(LISTED, "at most half the time", ratio_min=2),
    "S8.insert": Target(INSERT, "at least 0.8 times as fast as bare LMDB", ratio_min=0.8, unit="wall us/op"),
    "S8.insert.cpu": Target(INSERT_CPU, UNBOUND),
    "S8.statement": Target(STATED, UNBOUND),
    "S8.insert.sync": Target(INSERT_SYNC, UNBOUND, unit="wall us/op"),
    "S8.indexed.bare": Target(INDEXED, "at least as fast as bare LMDB without", ratio_min=1, unit="wall us/op"),
    "S8.indexed.sqlite": Target(INDEXED, "at least as fast as SQLite with two", ratio_min=1, unit="wall us/op"),
    "S8.indexed.cpu": Target(INSERT_CPU, UNBOUND),
    "S8.indexed.sync": Target(INDEXED_SYNC, UNBOUND, unit="wall us/op"),
    **{
        f"S9.{peer}.{connections}": Target(WRITTEN, bound, ratio_min=least, unit="wall us/op")
        for connections in (16, 64)
        for peer, (bound, least) in {
            "off": ("at least half as fast", 0.5),
            "hello": (UNBOUND, None),
            "c": ("at least a quarter as fast", 0.25),
            "couchdb": ("at least 30 times as fast", 30),
            "pouch": ("at least 30 times as fast", 30),
            "flush": (UNBOUND, None),
            "group": (UNBOUND, None),
        }.items()
    },
    **{
        f"S10.{connections}": Target(SERVED, "at most 1.8 times the time", ratio_min=1 / 1.8)
        for connections in (16, 64)
    },
    **{f"S9.sync.{connections}": Target(WRITTEN_SYNC, UNBOUND, unit="wall us/op") for connections in (16, 64)},
    **{f"S10.sync.{connections}": Target(SERVED_SYNC, UNBOUND) for connections in (16, 64)},
    **{
        f"S11.{server}read": Target(ASKED, "at most 1.6 times the time", ratio_min=1 / 1.6)
        for server in ("", "uvicorn.")
    },
    **{
        f"S11.{server}write": Target(ANSWERED, "at most 1.6 times the time", ratio_min=1 / 1.6)
        for server in ("", "uvicorn.")
    },
    "S11.across.read": Target(ASKED, UNBOUND),
    "S11.across.write": Target(ANSWERED, UNBOUND),
    "S11.keys": Target(KEYED, "at most 1.15 times the time", ratio_min=1 / 1.15),
    "S12.loop": Target(f"{WOKEN}, on an event loop", "at most 60", value_max=60),
    "S12.thread": Target(f"{WOKEN}, in a thread", UNBOUND),
    "S13.log": Target(f"{SYNC}; {REQUESTS}", "at most 2,000", value_max=2_000),
    "S13.equal": Target(f"{EQUAL}; {REQUESTS}", "at most 100", value_max=100),
    "S13.join": Target(f"{JOIN}; {REQUESTS}", UNBOUND),
    "S13.log.cpu": Target(SYNC_CPU, UNBOUND),
    "S13.join.cpu": Target(JOIN_CPU, UNBOUND),
    "S14.read": Target(f"read by id; {GROWN}", "at most twice the time", ratio_min=0.5),
    "S14.find": Target(f"find 1 by an index; {GROWN}", "at most twice the time", ratio_min=0.5),
    "S14.write": Target(f"write one field; {GROWN}", "at most twice the time", ratio_min=0.5),
    "S14.read.pages": Target(f"read by id: {PAGES}", "at most 1.5 times", value_max=1.5),
    "S14.find.pages": Target(f"find 1 by an index: {PAGES}", "at most 1.5 times", value_max=1.5),
    "S14.write.pages": Target(f"write one field: {PAGES}", "at most 1.5 times", value_max=1.5),
    "recovery.open": Target(RECOVERED, "at most 1,000", value_max=1_000),
    "recovery.verify": Target("verify it then, a GiB", "at most 15,000", value_max=15_000),
    "recovery.lost": Target("acknowledged transactions that were lost by the kills", "at most 0", value_max=0),
    **{f"S13.log.{pair}": Target(SYNC, UNBOUND) for pair in PAIRS},
    **{f"S13.equal.{pair}": Target(EQUAL, UNBOUND) for pair in PAIRS},
    **{f"S13.cpu.{pair}": Target(SYNC_CPU, UNBOUND) for pair in PAIRS},
}
